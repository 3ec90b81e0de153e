import * as React from 'react';
import { createRoot } from 'react-dom/client';

import type { IDataProvider } from './data/provider';
import type { Language } from './text';
import { text } from './text';
import type { IHostActions } from './tokens';
import type { ViewName } from './views';
import { VIEWS } from './views';
import { Fence } from './views/parts/fence';
import type { Place } from './views/host';
import { HostContext } from './views/host';

export interface IMountOptions {
  /** The view's own parameters. */
  params: Record<string, unknown>;

  language: Language;

  /** Whether it stands in a panel of its own or in a notebook cell. */
  place: Place;

  actions: IHostActions;
}

export interface IMounted {
  /** Show the same view with other options. */
  update(options: Partial<IMountOptions>): void;

  /** Take the view away and end everything that it watches. */
  dispose(): void;
}

/**
 * Puts a view into an element: the same for every host.
 */
export function mount(
  el: HTMLElement,
  view: ViewName,
  provider: IDataProvider,
  options: IMountOptions
): IMounted {
  const root = createRoot(el);
  const View = VIEWS[view];
  let current = options;
  el.classList.add('mn-root');

  const render = () => {
    const { language, place, actions, params } = current;
    const t = text(language);
    el.lang = t.lang;
    root.render(
      <HostContext.Provider value={{ provider, t, place, actions }}>
        <Fence t={t}>
          <View params={params} />
        </Fence>
      </HostContext.Provider>
    );
  };
  render();

  return {
    update: changed => {
      current = { ...current, ...changed };
      render();
    },
    dispose: () => root.unmount()
  };
}
