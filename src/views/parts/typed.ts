const NAMED =
  /(?<![\w-])(backend|budget|device|drop|method|recover|runtime|split|task|to)=(["'])([^"'\s]+)\2(?! ?[(（]--)/g;
const FLAG = /(?<![\w-])(again|overwrite)=True(?! ?[(（]--)/g;
const PAIRS = /(?<![\w-])columns=\{([^}]*)\}/g;
const KEYWORD =
  /(?<![\w-])(text|label|columns|task|data|tokens|max_drop|unlabelled)=(…|-?[\d.]*\d)/g;

/** Arguments of Python as the options that the sidebar's cells have; modelnook.verbs.options does it for a terminal. */
export function typed(said: string): string {
  return said
    .replace(NAMED, '--$1 $3')
    .replace(FLAG, '--$1')
    .replace(
      KEYWORD,
      (_, name: string, value: string) => `--${name.replace('_', '-')} ${value}`
    )
    .replace(PAIRS, (_, inside: string) => `--columns ${pairs(inside)}`);
}

function pairs(inside: string): string {
  return inside.replace(/"(\w+)": ?/g, '$1=').replace(/, /g, ',');
}
