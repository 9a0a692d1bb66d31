import type { Access, NamedPath } from '../paths/access.js';
import { canonicalPath, type Surroundings } from '../paths/canonical.js';
import { WrittenFiles } from './script-files.js';
import type { Argument } from './word.js';
import { hole } from './word.js';

/** What earlier commands of a line mean for later ones. */
export class LineState {
  readonly functions: ReadonlySet<string>;
  readonly around: Surroundings;
  readonly files: WrittenFiles;
  /** Variables that hold the output of a command. */
  readonly fromCommands = new Set<string>();
  /** The paths that the commands name. */
  readonly places: NamedPath[] = [];
  /** Remotes of Git that the line adds. */
  readonly remotes = new Set<string>();
  reachesNetwork = false;
  readsSecrets = false;
  #folder = '';
  #scripts: string[] = [];

  constructor(functions: ReadonlySet<string>, around: Surroundings) {
    this.functions = functions;
    this.around = around;
    this.files = new WrittenFiles(around);
  }

  /** Takes up a `cd`. */
  enter(target: Argument | undefined): void {
    const value = target?.value ?? '~';
    if (value === '-') this.#folder = hole;
    else if (/^[/~]/.test(value) || this.#folder === '') this.#folder = value;
    else this.#folder = `${this.#folder}/${value}`;
  }

  leave(): void {
    this.#folder = '';
  }

  /** A path as it is from where the line began. */
  resolve(path: string): string {
    const folder = this.#folder;
    if (folder === '' || path.startsWith(hole)) return path;
    if (/^([/~]|file:|[a-z]+:\/\/)/i.test(path)) return path;
    // A folder that only the shell knows makes no path suspect that is not so by itself.
    if (folder.includes(hole)) return path;
    // Where no workspace is known, `cd ~/code/app` says which it is.
    if (
      this.around.workspace === undefined &&
      !/(^|\/)\.\.(\/|$)/.test(path) &&
      isProject(folder)
    ) {
      return path;
    }
    return `${folder}/${path}`;
  }

  notePlace(path: string, access: Access): void {
    if (this.places.length < 500) this.places.push({ path, access });
  }

  addScript(text: string): void {
    if (this.#scripts.length < 20) this.#scripts.push(text);
  }

  takeScripts(): string[] {
    const scripts = this.#scripts;
    this.#scripts = [];
    return scripts;
  }
}

/** A folder below the home folder, or where containers have the work; none whose name begins with a dot. */
function isProject(folder: string): boolean {
  const path = canonicalPath(folder);
  return /^(~\/[^./*?[][^/*?[]*|\/(work|workspaces?|repo|app|code|projects?|src|build|testbed))(\/[^./*?[][^/*?[]*)*$/.test(
    path,
  );
}
