import type { ShellRule } from './rule.js';

const disks =
  'mkfs mkfs.ext2 mkfs.ext3 mkfs.ext4 mkfs.xfs mkfs.btrfs mkfs.vfat mkfs.fat mkfs.ntfs mke2fs mkswap wipefs fdisk sfdisk gdisk sgdisk cfdisk parted blkdiscard hdparm badblocks newfs cryptsetup pvcreate pvremove vgremove lvremove zpool mdadm dmsetup diskutil';
const compressors = '(zstd|zstdmt|pigz|pixz|lz4|gzip|xz|bzip2|lbzip2|plzip|lzip)';

/** Deleting is rated by its targets, see `deletion.ts`; here is what else harms files and disks. */
export const fileRules: readonly ShellRule[] = [
  {
    id: 'find-delete',
    risk: 'high',
    reason: 'deletes or writes whatever it finds',
    uses: [
      {
        programs: 'find gfind',
        line: /(^| )-(delete|fprint|fprint0|fprintf|fls)( |$)/,
        unless:
          /^(\.|[\w-][\w./-]*) (-type [fd] )?-name \*?\.?(pyc|pyo|orig|rej|DS_Store|swp|tmp|bak|log|class|o|tsbuildinfo|__pycache__|map) (-type [fd] )?-delete$/,
      },
    ],
  },
  {
    id: 'mode-open',
    risk: 'high',
    reason: 'lets every user write, or a program run with its owner’s rights',
    uses: [
      {
        programs: 'chmod install mkdir',
        line: /(^|[ =])(0?[0-7]?[0-7][0-7][2367]|[2-7][0-7]{3}|0[2-7][0-7]{3}|[ugoa]*[oa][ugoa]*[+=][rwxXst]*w[rwxXst]*|[ugoa]*[+=][rwxX]*s[rwxX]*|[+=]?[rxX]*w[rwxX]*[rx][rwx]*)( |$|,)/,
      },
      { programs: 'umask', line: /^0*$|^u?=?.*o=.*w/ },
    ],
  },
  {
    id: 'mode-recursive',
    risk: 'high',
    reason: 'changes rights or owners of a whole tree beyond the work',
    uses: [
      {
        programs: 'chmod chown chgrp',
        options: '-R --recursive',
        line: /(^| )(\/(?!tmp\/)\S*|~\S*|\.\.\S*|\S*\uFFFD\S*|\*)$/,
      },
      { programs: 'chown', line: /^(-\S+ )*(root|0)\b/ },
    ],
  },
  {
    id: 'rights-hidden',
    risk: 'high',
    reason: 'changes rights that a listing does not show',
    uses: [
      { programs: 'setfacl chattr setcap chcon setfattr restorecon' },
      { programs: 'xattr', options: '-w -d -c' },
    ],
  },
  {
    id: 'data-wipe',
    risk: 'high',
    reason: 'overwrites data so that it cannot come back',
    uses: [
      { programs: 'cp gcp install', line: /^(-\S+ )*\/dev\/(null|zero|u?random) / },
      { programs: 'shred wipe srm sfill scrub' },
      {
        programs: 'truncate',
        line: /(^| )(-s ?|--size[= ])[0-9-]/,
        unless: /[\w-]+\.(log|out|tmp|img|bin|dat)$|^(-s ?|--size[= ])[1-9]/,
      },
    ],
  },
  {
    id: 'disk-write',
    risk: 'critical',
    reason: 'formats or overwrites a disk',
    uses: [
      { programs: disks, unless: /^(-l|--list|list|info|status|--help|--version|-V)\b/ },
      {
        programs: 'dd dcfldd ddrescue',
        line: /of=\/+dev\/+(?!null|stdout|stderr|zero|fd|shm)/,
      },
    ],
  },
  {
    id: 'disk-copy',
    risk: 'high',
    reason: 'copies raw data to or from a place that is not plain',
    uses: [
      {
        programs: 'dd dcfldd ddrescue',
        line: /of=(\S*\uFFFD|\/(?!tmp\/|dev\/)|~)|if=\/dev\/(?!zero|urandom|random|null)/,
      },
    ],
  },
  {
    id: 'mount',
    risk: 'high',
    reason: 'changes what the file system shows',
    uses: [
      {
        programs: 'mount umount losetup swapoff swapon fusermount sshfs mount.cifs pivot_root',
        unless: /^(-l|--version|-t \w+|)$/,
      },
    ],
  },
  {
    id: 'mirror-delete',
    risk: 'high',
    reason: 'deletes what the source does not have, or what was copied',
    uses: [
      {
        programs: 'rsync',
        options:
          '--delete --delete-before --delete-after --delete-during --delete-excluded --del --remove-source-files --delete-missing-args',
      },
    ],
  },
  {
    id: 'copy-remote',
    risk: 'high',
    reason: 'sends files to another machine, or takes them from there',
    uses: [
      {
        programs: 'rsync',
        line: /(^| )([\w.-]+@)?[\w.-]{2,}:|rsync:\/\/|(^| )\S*\uFFFD\S*:|\uFFFD@/,
      },
      { programs: 'rsync', options: '-e --rsh --rsync-path --daemon --config' },
    ],
  },
  {
    id: 'archive-command',
    risk: 'high',
    reason: 'makes an archive program start another one',
    uses: [
      {
        programs: 'tar gtar bsdtar star',
        options:
          '--to-command --checkpoint-action --rsh-command --rmt-command --new-volume-script --info-script -F',
      },
      {
        programs: 'tar gtar bsdtar',
        line: new RegExp(
          `(^| )(--use-c[\\w-]*[= ](?!${compressors}\\b)|-[a-zA-Z]*I(?! ?${compressors}\\b))`,
        ),
      },
      { programs: 'zip', line: /(^| )(-\w*T\w*|--unzip-command|--test)/ },
      { programs: '7z cpio unrar', options: '--rsh-command' },
    ],
  },
  {
    id: 'archive-anywhere',
    risk: 'high',
    reason: 'unpacks over places outside the work',
    uses: [
      {
        programs: 'tar gtar bsdtar',
        line: /(^| )(-[a-zA-Z]*P[a-zA-Z]*|--absolute-n\w*|(-C ?|--directory[= ]|-[a-zA-Z]*C )(\/(?!tmp\/)|~|\S*\uFFFD|\.\.\/\.\.))/,
        unless: /^-?[a-zA-Z]*(c|t)[a-zA-Z]* /,
      },
      { programs: 'tar gtar bsdtar', line: /^[a-zA-Z]*P[a-zA-Z]*( |$)/ },
      { programs: 'unzip 7z unrar', line: /(^| )(-d ?|-o)(\/(?!tmp\/)|~)/ },
    ],
  },
  {
    id: 'archive-of-home',
    risk: 'high',
    reason: 'packs up the home folder or the system',
    uses: [
      {
        programs: 'tar gtar bsdtar zip 7z',
        line: /(^| )(~|~\/|\/|\/etc\/?|\/home\S*|\/root\S*|\/var\/?|\/Users\/?\w*)( |$)/,
        unless: /^-?[a-zA-Z]*x[a-zA-Z]* /,
      },
    ],
  },
  {
    id: 'link-outside',
    risk: 'high',
    reason: 'makes a path of the work lead to a place outside it',
    uses: [
      {
        programs: 'ln',
        line: /(^| )(\/(etc|root|proc|dev|sys|var|boot|bin|sbin|home)?\/?|~)(\/\S*)? /,
      },
    ],
  },
];
