/** Every bound of the relay in one place; docs/mcp.md says what happens at each. */

/** A line from the client above this is refused; one from the server passes but is only skimmed for the log. */
export const lineBytesMax = 10 * 1024 * 1024;
/** Tool and prompt names; MCP itself allows tools 128 characters. */
export const nameBytesMax = 1024;
/** JSON-RPC ids that are strings. */
export const idBytesMax = 1024;
/** How much of a URI stands in `action.resource`; the whole of a longer one stands in the arguments. */
export const resourceCharsMax = 4096;
/** Names that clients and servers give themselves. */
export const peerNameCharsMax = 200;
/** Lines read from the client whose turn to be forwarded has not come. */
export const queueLinesMax = 64;
export const queueBytesMax = 32 * 1024 * 1024;
/** Recorded calls without an answer. */
export const pendingCallsMax = 1024;
/** Requests of every kind without an answer. */
export const pendingRequestsMax = 8192;
/** Cancelled calls whose late answer is still expected. */
export const cancelledMax = 1024;
/** Calls that ended with `input_required` and may be carried on. */
export const continuationsMax = 1024;
/** Outcomes handed to the log and not yet acknowledged. */
export const outcomesMax = 1024;
export const outcomeBytesMax = 32 * 1024 * 1024;
/** Answers nobody asked for that are recorded in one run; a server must not be able to fill the log with them. */
export const unexpectedMax = 100;
/** How much of a refused line is kept in its record. */
export const refusedPreviewBytes = 4096;
/** How much of an error text is kept outside the output. */
export const errorCharsMax = 4096;
/** Questions that went out with the answer to a call, and whose answer may still come. */
export const openStatesMax = 1024;
/** What a call brought for the server (`requestState`, `inputResponses`) and is carried through a question with it. */
export const carriedCharsMax = 256 * 1024;
/** Lists of tools whose next page the client has not asked for yet. */
export const listingsMax = 16;
/** Of tools that are compared with their pins, so many bytes go into one message. */
export const pinMessageBytesMax = 32 * 1024;
/** Tools that one record names; it has the number of all. */
export const pinsNamedMax = 50;
