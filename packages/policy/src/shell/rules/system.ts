import type { ShellRule } from './rule.js';

export const systemRules: readonly ShellRule[] = [
  {
    id: 'other-user',
    risk: 'high',
    reason: 'acts as another user, or opens that user’s shell',
    uses: [
      { programs: 'su runuser pkexec gosu su-exec newgrp sg machinectl run0 please' },
      {
        programs: 'sudo doas',
        line: /^(-[ugpCrtTDRh] \S+ |-[a-zA-Z]+ |--\S+ )*(-[a-zA-Z]*[ise][a-zA-Z]*|--login|--shell|--edit)( |$)/,
      },
      { programs: 'sudoedit visudo vipw vigr' },
    ],
  },
  {
    id: 'accounts',
    risk: 'high',
    reason: 'changes who may use this machine',
    uses: [
      {
        programs:
          'useradd adduser userdel deluser usermod groupadd addgroup groupdel delgroup groupmod gpasswd passwd chpasswd chsh chfn chage dscl sysadminctl pwck newusers',
      },
    ],
  },
  {
    id: 'power',
    risk: 'high',
    reason: 'stops or restarts the machine',
    uses: [
      { programs: 'shutdown reboot halt poweroff kexec' },
      { programs: 'init telinit', line: /^[0-6sSqQ]$/ },
    ],
  },
  {
    id: 'kernel',
    risk: 'high',
    reason: 'changes the running kernel or what starts the machine',
    uses: [
      {
        programs:
          'insmod rmmod modprobe depmod grub-install update-grub efibootmgr bootctl bcdedit nvram csrutil spctl tpm2 bpftool bpftrace setpci msr-tools wrmsr flashrom fwupdmgr ldconfig update-initramfs dracut',
        unless: /^(status|--version|-v$|-p$|-N$)/,
      },
      { programs: 'sysctl', options: '-w -p --write --load --system' },
      { programs: 'sysctl', line: /=/ },
    ],
  },
  {
    id: 'protection-off',
    risk: 'high',
    reason: 'weakens what protects or watches this machine',
    uses: [
      {
        programs:
          'iptables ip6tables nft ufw firewall-cmd ebtables pfctl setenforce aa-disable aa-teardown aa-complain apparmor_parser auditctl semanage getsebool setsebool tccutil',
        unless: /^(status|-L|-S|--list\S*|list|-v|--version|--state)\b/,
      },
      { programs: 'history', options: '-c -d -w -a -r' },
      { programs: 'set', line: /^\+o history/ },
      { programs: 'shopt', line: /-u.*histappend/ },
      { programs: 'unset', line: /HIST|PROMPT_COMMAND/ },
      { programs: 'dmesg', options: '-c -C --clear --read-clear' },
      { programs: 'journalctl', line: /--(vacuum|rotate|flush|setup-keys|relinquish)/ },
      { programs: 'logrotate logger systemd-tmpfiles faillock utmpdump' },
    ],
  },
  {
    id: 'later',
    risk: 'high',
    reason: 'makes commands run later, when nobody looks',
    uses: [
      { programs: 'at batch atq atrm anacron systemd-run incrontab fcrontab schtasks cron crond' },
      { programs: 'crontab', unless: /^(-u \S+ )?-l$/ },
      { programs: 'update-rc.d chkconfig rc-update' },
    ],
  },
  {
    id: 'isolation-left',
    risk: 'high',
    reason: 'enters another root, namespace or process',
    uses: [
      {
        programs:
          'chroot unshare nsenter capsh setpriv systemd-nspawn bwrap proot arch-chroot lxc lxc-attach lxd runc ctr crictl crun',
      },
      {
        programs:
          'ld.so ld-linux.so ld-linux-x86-64.so.2 ld-linux-aarch64.so.1 ld-musl-x86_64.so.1 ld-linux.so.2',
      },
    ],
  },
  {
    id: 'kill-broad',
    risk: 'high',
    reason: 'stops programs beyond the work: all of a user, the system’s, or the gate',
    uses: [
      { programs: 'kill', line: /(^| )(-1|1|-- -1)$|^-\w+ -1\b/ },
      { programs: 'pkill killall skill slay', options: '-u -U --uid --euid -g -s' },
      {
        programs: 'pkill killall',
        line: /(^| )\.?\*?$|\b(sshd|systemd|init|gatebook|auditd|rsyslogd?|syslogd?|dockerd|containerd|cron|launchd|loginwindow|kubelet|falco|osqueryd|clamd|crowdstrike|falcon\S*|gdm|Xorg|WindowServer|dbus\S*|NetworkManager|firewalld)\b|\uFFFD$/i,
      },
      { programs: 'fuser', options: '-k --kill' },
      { programs: 'killall5' },
    ],
  },
  {
    id: 'trace-process',
    risk: 'high',
    reason: 'looks into or changes another running program',
    uses: [
      { programs: 'gdb lldb strace ltrace py-spy rbspy', options: '-p --pid --attach' },
      {
        programs: 'gdb lldb',
        options: '-ex --eval-command -x --command -o --one-line -iex -nx --batch -s --source',
        unless:
          /^(--?batch )?(-ex (run|bt|backtrace|where|quit|thread apply all bt|info \w+) ?)+(--args )?\S+( core\S*)?$|^(--?batch )?(-ex (run|bt|backtrace|where|quit|thread apply all bt|info \w+) ?)+--args .*$/,
      },
      { programs: 'gcore ptrace reptyr frida process_vm_readv' },
    ],
  },
  {
    id: 'screen-and-keys',
    risk: 'high',
    reason: 'reads the screen, the keys, the clipboard or the network of the machine',
    uses: [
      {
        programs:
          'tcpdump tshark dumpcap wireshark ettercap bettercap arpspoof mitmproxy mitmdump xclip xsel pbpaste wl-paste screencapture scrot import gnome-screenshot xinput xdotool ydotool showkey evtest logkeys arecord ffmpeg-record fswebcam imagesnap osascript xwd',
        unless: /^(--version|-v|--help)$/,
      },
    ],
  },
  {
    id: 'shell-hooks',
    risk: 'high',
    reason: 'changes what the shell itself runs',
    uses: [
      { programs: 'enable', options: '-f' },
      { programs: 'hash', options: '-p' },
      {
        programs: 'test [ let declare typeset local export readonly read unset printf',
        line: /\[[^\]]*(\$\(|`)/,
      },
      { programs: 'bind', options: '-x -f' },
      { programs: 'complete compgen', options: '-C -F' },
      { programs: 'mapfile readarray', options: '-C' },
      { programs: 'alias', line: /=/, unless: /^(ll|la|l|ls|grep|gs|gst|k|g|\.\.|python|pip)=/ },
    ],
  },
  {
    id: 'environment-shown',
    risk: 'high',
    reason: 'shows the environment, secrets included',
    uses: [
      { programs: 'printenv env', line: /^(-0|--null)?$/ },
      { programs: 'set', line: /^$/ },
      { programs: 'export declare typeset', line: /^-(p|x)$/ },
      {
        programs: 'printenv',
        line: /\b\w*(SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIAL)\w*\b/,
      },
      {
        programs: 'jq gojq jaq yq',
        line: /(^| |[^\w.])(env|\$ENV)\b(?!\.\w*(PATH|HOME|USER|CI|NODE_ENV))/,
        unless: /(^|[ "'|(])\.[\w.]*env\b/,
      },
    ],
  },
  {
    id: 'secret-search',
    risk: 'high',
    reason: 'looks for keys and passwords beyond the work, or makes one part of the repository',
    uses: [
      {
        programs: 'find gfind fd fdfind locate ls tree',
        line: /(^| )(\/|~)(?!tmp\/)\S*( .*)?(id_rsa|id_ed25519|\.pem|\.key|\.kdbx|\.pfx|\.p12|\.env|\.netrc|\.htpasswd|wallet|credential|password|secret|\.aws|\.ssh|\.gnupg|shadow|_history|authorized_keys|-perm|-4000|-u=s)/i,
      },
      { programs: 'find gfind', line: /-perm \S*[+/-]?(u=s|g=s|[0-7]?[4-7][0-7]{3})/ },
      {
        programs: 'locate fd fdfind find',
        line: /id_rsa|id_ed25519|\.kdbx|wallet\.dat|authorized_keys/,
      },
      {
        programs: 'grep egrep fgrep rg rga ag ack ugrep zgrep',
        line: /(pass(word|wd)?|secret|token|api.?key|private.?key|aws_|credential|BEGIN .*KEY).* (\/|~)(?!tmp\/)\S*/i,
      },
      {
        programs: 'git',
        sub: 'add|stage',
        line: /(^| )\S*(\.env(\.(local|prod|production))?|id_rsa|id_ed25519|\.pem|\.p12|\.pfx|\.netrc|credentials(\.json)?)( |$)/,
      },
    ],
  },
  {
    id: 'gate-itself',
    risk: 'critical',
    reason: 'decides in a person’s place, or changes the gate’s own settings or keys',
    uses: [
      {
        programs: 'gatebook',
        sub: 'approve|config trust|config set|config import|keys|limits reset|uninstall|init|prune|erase|repair',
      },
    ],
  },
];
