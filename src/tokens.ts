import { Token } from '@lumino/coreutils';

import type { IText } from './text';

/** The tabs of the sidebar. */
export type Tab = 'models' | 'runs';

/**
 * What a view may do where it stands. A missing member means that this host can't: the view leaves its button out.
 */
export interface IHostActions {
  /** Put code into a new cell of the notebook that is in front. */
  insertCell?(code: string): void;

  /** Put text on the clipboard; whether it is there now. */
  copy(text: string): Promise<boolean>;

  /** Open an address in a new browser tab. */
  openExternal(url: string): void;
}

/**
 * What a person sets.
 */
export interface ISidebarOptions {
  /** The tab that is shown first. */
  defaultTab: Tab;

  /** How many models or runs are listed before "Show more". */
  pageSize: number;

  /** `auto` follows JupyterLab's display language, and modelnook's own where that is Chinese. */
  language: 'auto' | 'en' | 'zh';
}

/**
 * The sidebar, as other plugins see it.
 */
export interface ISidebar {
  /** Bring the panel to the front with this tab. */
  show(tab: Tab): void;

  /** Take over what a person has set. */
  configure(options: Partial<ISidebarOptions>): void;

  /** The message catalogue in the language now set. */
  readonly text: IText;
}

export const ISidebar = new Token<ISidebar>(
  'modelnook:ISidebar',
  'The panel with the model catalogue and the run history.'
);
