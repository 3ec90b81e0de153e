const NAMED =
  /(?<![\w-])(backend|budget|drop|method|recover|split|task|to)=(["'])([^"'\s]+)\2(?! ?[(（]--)/g;
const KEYWORD = /(?<![\w-])(text|label|columns|task|data|tokens|max_drop)=…/g;

/** Arguments of Python as the options that the sidebar's cells have, as a terminal says them too. */
export function typed(said: string): string {
  return said
    .replace(NAMED, '--$1 $3')
    .replace(KEYWORD, (_, name: string) => `--${name.replace('_', '-')} …`);
}
