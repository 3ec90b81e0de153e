import type { IHostActions } from '../tokens';

/** What any page can do without a notebook around it. */
export const BROWSER_ACTIONS: IHostActions = {
  copy: text => {
    void navigator.clipboard?.writeText(text).catch(() => undefined);
  },
  openExternal: url => {
    window.open(url, '_blank', 'noopener');
  }
};
