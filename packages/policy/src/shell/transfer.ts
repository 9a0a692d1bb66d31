import type { Finding } from '../finding.js';
import type { Risk } from '../risk.js';
import { type Argument, hole } from './word.js';

export const transferRules = {
  'network-send': { risk: 'high', reason: 'sends data to another machine' },
  'network-drop': {
    risk: 'high',
    reason: 'reaches a site that is used to collect or hand on data',
  },
  'network-address': {
    risk: 'high',
    reason: 'reaches a machine by its number or in an unusual way, not by a name',
  },
  'secret-sent': { risk: 'high', reason: 'sends a secret along' },
  'network-options': {
    risk: 'high',
    reason: 'takes its options from elsewhere, or goes through another machine',
  },
} as const satisfies Record<string, { risk: Risk; reason: string }>;

type TransferId = keyof typeof transferRules;

export const transferPrograms: ReadonlySet<string> = new Set(
  'curl wget wget2 http https httpie xh xhs curlie hurl lynx links w3m elinks fetch aria2c'.split(
    ' ',
  ),
);

export const secretName =
  /(^|_)(SECRETS?|TOKENS?|PASS(WORD|WD|PHRASE)?|PWD_?|API_?KEYS?|KEYS?|CREDENTIALS?|AUTH|PAT|PRIVATE|SESSION|COOKIE|DSN|DATABASE_URL|CONNECTION_STRING)(_|$)|(SECRET|TOKEN|PASSWORD|APIKEY|KEY)$/i;

const drops =
  /(webhook\.site|requestbin|pipedream|ngrok(-free)?\.(io|app|dev)|burpcollaborator|oast(ify)?\.|interact\.sh|transfer\.sh|0x0\.st|termbin|pastebin|paste\.(ee|rs|c-net)|hastebin|ix\.io|sprunge|file\.io|gofile|bashupload|beeceptor|canarytokens|dnslog|ceye\.io|requestcatcher|hookb\.in|mockbin|localhost\.run|serveo\.|loca\.lt|trycloudflare|duckdns|no-ip|\.onion\b|discord(app)?\.com\/api\/webhooks|hooks\.slack\.com|api\.telegram\.org|\bevil\.|\battacker\b|\bmalicious\b|\bexfil)/i;

const sends =
  /^(-d|--data(-\w+)?|-F|--form(-\w+)?|-T|--upload-file|--json|--post-(data|file)|--body-(data|file)|--url-query|-u|--user|--ftp-create-dirs|-Q|--quote|--mail-\w+)$/;
const methods = /^(POST|PUT|PATCH|DELETE|TRACE|CONNECT|PURGE|PROPFIND|MKCOL|MOVE|COPY)$/i;
const elsewhere =
  /^(-K|--config|-x|--proxy\S*|--socks\S*|--preproxy|--engine|--netrc\S*|-n|-E|--cert|--key|--unix-socket|--abstract-unix-socket|--resolve|--connect-to|--doh-url|--interface|--dns-servers|--libcurl|--trace\S*)$/;
const elsewhereOfWget =
  /^(--use-askpass\S*|-e|--execute|-i|--input-file|--load-cookies|--rejected-log|--config|--certificate|--private-key|--ca-\S*)$/;

export interface Transfer {
  program: string;
  args: readonly Argument[];
  /** Variables that hold the output of a command of the same line. */
  fromCommands: ReadonlySet<string>;
  piped: boolean;
}

export interface TransferReport {
  findings: Finding[];
  /** False when everything goes to this machine itself. */
  remote: boolean;
}

/** Where curl and its like go, and what they take along. */
export function rateTransfer(transfer: Transfer, subject: string): TransferReport {
  const { args } = transfer;
  const urls = args.map(({ value }) => value).filter(isAddress);
  const remote = urls.length === 0 || urls.some((url) => !isLocal(url));
  const ids = new Set<TransferId>();
  if (remote) addRemote(ids, transfer, urls);
  if (urls.some((url) => drops.test(url))) ids.add('network-drop');
  const odd = /^wget/.test(transfer.program) ? elsewhereOfWget : elsewhere;
  if (hasOption(transfer, odd)) ids.add('network-options');
  const findings = [...ids].map((rule) => ({ rule, ...transferRules[rule], subject }));
  return { findings, remote };
}

function addRemote(ids: Set<TransferId>, transfer: Transfer, urls: readonly string[]): void {
  const { args, fromCommands } = transfer;
  if (
    hasOption(transfer, sends) ||
    args.some(
      ({ value }) =>
        methods.test(value) ||
        /^(-X|--request[= ]|--method[= ])(POST|PUT|PATCH|DELETE)/i.test(value),
    )
  ) {
    ids.add('network-send');
  }
  const method = args.findIndex(({ value }) => /^(-X|--request|--method)$/.test(value));
  if (method >= 0 && !/^(GET|HEAD|OPTIONS)$/i.test(args[method + 1]?.value ?? ''))
    ids.add('network-send');
  if (
    /^(http|https|httpie|xh|xhs)$/.test(transfer.program) &&
    args.some(({ value }) => /^[\w-]+(=|:=|@|:=@)/.test(value))
  ) {
    ids.add('network-send');
  }
  if (args.some(({ runs, variables }) => runs || variables.some((it) => fromCommands.has(it)))) {
    ids.add('network-send');
  }
  if (args.some(({ variables }) => variables.some((it) => secretName.test(it))))
    ids.add('secret-sent');
  if (urls.some(isOddAddress)) ids.add('network-address');
}

/** Letters of a cluster count too: `-sd`. */
function hasOption({ args, program }: Transfer, wanted: RegExp): boolean {
  return args.some(({ value }) => {
    if (
      !value.startsWith('-') ||
      (program === 'wget' && /^-(d|n|x|i|e|T|F|u)/.test(value) && !/^-(i|e)$/.test(value))
    )
      return false;
    const name = value.startsWith('--') ? value.split('=')[0]! : value;
    if (wanted.test(name)) return true;
    if (value.startsWith('--')) return false;
    // The first letter that takes a word ends the cluster.
    for (const letter of value.slice(1)) {
      if (wanted.test(`-${letter}`)) return true;
      if (/[oHAebmrwXYyzEUtPCcD]/.test(letter)) return false;
    }
    return false;
  });
}

function isAddress(value: string): boolean {
  if (value.startsWith('-')) return /^--url=/.test(value);
  return (
    /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ||
    /^(localhost|[\w-]+(\.[\w-]+)+|\[[0-9a-f:]+\])(:\d+|:\uFFFD)?([/?#]|$)/i.test(value) ||
    /^:\d+/.test(value) ||
    value.startsWith(hole)
  );
}

function isLocal(url: string): boolean {
  const host = hostOf(url);
  return /^(localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1\]|host\.docker\.internal|[\w-]+\.localhost|)$/i.test(
    host,
  );
}

function hostOf(url: string): string {
  const rest = url.replace(/^--url=/, '').replace(/^[a-z][a-z0-9+.-]*:\/\//i, '');
  const authority = rest.split(/[/?#\\]/)[0] ?? '';
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  return host.startsWith('[') ? host.slice(0, host.indexOf(']') + 1) : (host.split(':')[0] ?? '');
}

function isOddAddress(url: string): boolean {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase();
  if (scheme !== undefined && !/^(https?|file)$/.test(scheme)) return true;
  const host = hostOf(url);
  // Where clouds hand out the credentials of a machine.
  if (/^(metadata\.|instance-data\.|metadata$)/i.test(host)) return true;
  if (host.includes(hole) || isLocal(url)) return false;
  return !/[a-z]/i.test(host.split('.').at(-1) ?? '') || /^0x/i.test(host) || host.startsWith('[');
}
