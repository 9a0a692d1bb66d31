import { canonicalPath, type Surroundings } from '../paths/canonical.js';

export type ProgramPlace =
  | 'path' // a bare name, looked up by the shell
  | 'system' // an absolute path to where the system keeps programs
  | 'workspace' // a relative path, or one below the workspace
  | 'tools' // where a project keeps its tools: node_modules/.bin, .venv/bin
  | 'elsewhere';

export interface ProgramName {
  /** The name that the rules know: no folder, no version, no `.exe`. */
  name: string;
  place: ProgramPlace;
}

const systemFolder =
  /^\/(usr\/|usr\/local\/|opt\/homebrew\/|opt\/local\/|run\/current-system\/sw\/)?s?bin\/[^/]+$/;
const toolsFolder =
  /(^|\/)(node_modules\/\.bin|\.?v?env\d*\/bin|\.?venv[\w.-]*\/(bin|Scripts)|\.tox\/[^/]+\/bin|\.nox\/[^/]+\/bin|vendor\/bin|\.bundle\/bin)\/[^/]+$|^~\/(\.local|\.cargo|go|\.deno|\.bun|\.pyenv\/shims|\.nvm\/.*|\.volta|\.asdf\/shims|\.yarn|n)(\/bin)?\/[^/]+$/;

export function programName(written: string, around: Surroundings = {}): ProgramName {
  const last = written.split('/').at(-1) ?? written;
  const name = versionless(last);
  if (!written.includes('/')) return { name, place: 'path' };
  if (/^@[\w.-]+\/[\w.-]+(@[^/]*)?$/.test(written)) {
    return { name: written.replace(/(?<=.)@[^/]*$/, ''), place: 'path' };
  }
  const path = canonicalPath(written, around);
  if (systemFolder.test(path)) return { name, place: 'system' };
  if (toolsFolder.test(path)) return { name, place: 'tools' };
  return { name, place: /^[/~]/.test(path) ? 'elsewhere' : 'workspace' };
}

/** `python3.12` is `python`, `gcc-13` is `gcc`, `prettier@3` is `prettier`. */
function versionless(name: string): string {
  const bare = name.replace(/\.(exe|cmd|bat)$/i, '').replace(/(?<=.)@[^@]*$/, '');
  if (
    /^(python|pip|pypy|ruby|perl|php|lua|node|nodejs|clang|gcc|g\+\+|cc|llvm-\w+|clang-format|clang-tidy|java|go|tclsh|wish|erl|bash|zsh|ksh|mksh|busybox|vim|emacs)-?\d+(\.\d+)*$/.test(
      bare,
    )
  ) {
    return bare.replace(/-?\d+(\.\d+)*$/, '');
  }
  return bare;
}
