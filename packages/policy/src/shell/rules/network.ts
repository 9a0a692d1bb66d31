import type { ShellRule } from './rule.js';

/** Curl and wget are rated by where they go and what they take along, see `transfer.ts`; here are the others. */
export const networkRules: readonly ShellRule[] = [
  {
    id: 'network-raw',
    risk: 'high',
    reason: 'opens a raw connection, through which anything can come or go',
    uses: [
      {
        programs:
          'nc ncat netcat nc.openbsd nc.traditional telnet socat websocat pwncat cryptcat rlwrap',
        unless:
          /^(-\w*z\w*|-w ?\d+|-v| |-G ?\d+)+ (localhost|127\.0\.0\.1|\[?::1\]?|[a-z][\w.-]*) \d+(-\d+)?$|^(-h|--help|--version)$/,
      },
      { programs: 'openssl', sub: 's_client|s_server|s_time' },
    ],
  },
  {
    id: 'network-remote-shell',
    risk: 'high',
    reason: 'runs commands on another machine, or forwards its ports',
    uses: [
      {
        programs:
          'ssh mosh rsh rlogin rexec autossh plink dbclient sshpass et teleport tsh assh pdsh clush dsh psexec evil-winrm winexe',
        unless:
          /^(-V|-T (-o \S+=(accept-new|yes) )?git@(github|gitlab)\.com|-T git@bitbucket\.org|-G \S+|-Q \w+)$/,
      },
      { programs: 'ssh-copy-id ssh-add sshd ssh-agent', unless: /^(-l|-L|-s)$/ },
      {
        programs:
          'scp sftp ftp tftp lftp ncftp ncftpput smbclient mount_smbfs rclone croc wormhole magic-wormhole ffsend transfer sz rz cadaver aria2c axel',
      },
    ],
  },
  {
    id: 'network-key',
    risk: 'high',
    reason: 'makes or replaces a key by which machines are opened',
    uses: [
      {
        programs: 'ssh-keygen',
        unless: /^(-l|-lf|-F|-R|-y|-B|-E \w+ -lf) |.*(-f ?(\.\/)?[\w-][\w./-]*|-f \/tmp\/\S+)( |$)/,
      },
    ],
  },
  {
    id: 'network-scan',
    risk: 'high',
    reason: 'looks for open doors on other machines, or tries to open them',
    uses: [
      {
        programs:
          'nmap masscan zmap rustscan nikto sqlmap hydra medusa john hashcat aircrack-ng airmon-ng msfconsole msfvenom gobuster dirb dirbuster ffuf wfuzz feroxbuster wpscan enum4linux responder crackmapexec netexec impacket-secretsdump mimikatz hping3 slowloris nuclei subfinder amass arp-scan netdiscover',
      },
    ],
  },
  {
    id: 'network-tunnel',
    risk: 'high',
    reason: 'lets others reach this machine from outside, or sends its traffic another way',
    uses: [
      {
        programs:
          'ngrok cloudflared localtunnel lt bore frpc frps chisel tailscale zerotier-cli wg wg-quick openvpn tor torsocks proxychains proxychains4 sslh stunnel redsocks upnpc serveo iodine dnscat2 gsocket gs-netcat tmate ttyd gotty shellinabox webtunnel',
        unless: /^(status|version|--version|help|ip|show)\b/,
      },
    ],
  },
  {
    id: 'network-names',
    risk: 'high',
    reason: 'asks for a name that is made from something on this machine',
    uses: [
      {
        programs: 'dig host nslookup drill ping ping6 traceroute whois finger resolvectl getent',
        line: /\uFFFD/,
        unless: /^[^.]*\uFFFD$/,
      },
    ],
  },
  {
    id: 'message-sent',
    risk: 'high',
    reason: 'sends a message to people',
    uses: [
      {
        programs:
          'mail mailx sendmail mutt msmtp swaks ssmtp wall write mesg notify-send-all telegram-send slack slackcat ntfy apprise',
        unless: /^(--version|-V)$/,
      },
    ],
  },
];
