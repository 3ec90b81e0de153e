import type { IHostActions } from '../tokens';

/** What any page can do without a notebook around it. */
export const BROWSER_ACTIONS: IHostActions = {
  copy,
  openExternal: url => {
    window.open(url, '_blank', 'noopener');
  }
};

/** Put text on the clipboard, also over plain http, where a page has no `navigator.clipboard`; whether it is there. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text: string): boolean {
  const before = document.activeElement as HTMLElement | null;
  const area = document.createElement('textarea');
  area.value = text;
  area.style.position = 'fixed';
  area.style.opacity = '0';
  document.body.append(area);
  area.focus();
  area.select();
  try {
    return document.execCommand('copy');
  } catch {
    return false;
  } finally {
    area.remove();
    before?.focus();
  }
}
