import { userInfo } from 'node:os';

/** The operating system's name of who runs this process. */
export function personName(): string {
  try {
    return userInfo().username.slice(0, 256).toWellFormed();
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
