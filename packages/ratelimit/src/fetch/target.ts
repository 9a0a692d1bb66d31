/** What the wrapper needs to know of the arguments of a `fetch`. */
export interface Target {
  readonly url: URL;
  readonly method: string;
  readonly signal: AbortSignal | undefined;
  /** Whether the same arguments can be used twice: a stream is gone once it was sent. */
  readonly isReplayable: boolean;
}

/** Undefined for what is no HTTP, or no URL: that is between the caller and its `fetch`. */
export function targetOf(
  input: string | URL | Request,
  init: RequestInit = {},
): Target | undefined {
  const request = input instanceof Request ? input : undefined;
  const text = request?.url ?? String(input);
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  const isOfRequest = init.body === undefined;
  return {
    url,
    method: (init.method ?? request?.method ?? 'GET').toUpperCase(),
    signal: init.signal ?? request?.signal ?? undefined,
    isReplayable: isOfRequest ? (request?.body ?? null) === null : isWhole(init.body),
  };
}

function isWhole(body: unknown): boolean {
  return (
    body === null ||
    typeof body === 'string' ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body) ||
    body instanceof URLSearchParams ||
    body instanceof FormData ||
    body instanceof Blob
  );
}
