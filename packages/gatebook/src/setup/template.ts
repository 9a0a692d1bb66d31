import { isKey, type Key, rootSection, type Section } from '../config/keys.js';
import { tomlName, tomlText } from '../config/toml-text.js';

const widthMax = 100;

/** A `gatebook.toml` in which every key stands with what it does and its default, commented out, so that it changes nothing. */
export function configTemplate(): string {
  return `${head}\n${sectionsOf(rootSection).join('\n')}`;
}

const head = `# gatebook.toml. Everything below is commented out and stands at its default: take the # away before a key to set it.
# gatebook config check says what is wrong with it, gatebook config show --origin what holds.
`;

function sectionsOf(section: Section): string[] {
  const members = [...section.members.values()];
  const own = members.filter(isKey);
  const below = members.flatMap((member) => (isKey(member) ? [] : sectionsOf(member)));
  if (own.length === 0) return below;
  const text = `${prose(section.help)}[${section.name}]\n\n${own.map(keyText).join('\n')}`;
  return [text, ...below];
}

function keyText({ steps, help, wanted, usual, unset }: Key): string {
  const words = `${help} Accepted: ${wanted}.`;
  const name = tomlName(steps.at(-1) ?? '');
  if (usual !== undefined) return `${prose(words)}#${name} = ${tomlText(usual)}\n`;
  return `${prose(`${words} Not set: ${unset ?? 'none'}.`)}#${name} =\n`;
}

/** As lines of comment. */
function prose(text: string): string {
  if (text === '') return '';
  const lines: string[] = [];
  let line = '#';
  for (const word of text.replaceAll('`', '').split(/\s+/)) {
    if (line.length + 1 + word.length > widthMax && line !== '#') {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return `${[...lines, line].join('\n')}\n`;
}
