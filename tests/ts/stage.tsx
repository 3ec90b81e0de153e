import { render } from '@testing-library/react';
import * as React from 'react';

import recording from '../ui/recorded.json';
import { FakeProvider } from '../../src/data/fake';
import type { Run } from '../../src/data/types';
import { text } from '../../src/text';
import type { ViewName } from '../../src/views';
import { VIEWS } from '../../src/views';
import type { Place } from '../../src/views/host';
import { HostContext } from '../../src/views/host';

export const RUNS: Run[] = recording.runs.items;

/** A provider on the recording of the demo page. */
export function recorded(): FakeProvider {
  return new FakeProvider({
    ...recording,
    info: ({ ref }) =>
      recording.search.items.find((one: { ref: string }) => one.ref === ref),
    run: ({ run }) => RUNS.find(one => one.id === run) as Run
  });
}

/** What the host was asked to do. */
export interface IAsked {
  inserted: string[];
  copied: string[];
  opened: string[];
}

/** A view on a provider, as a host would show it. */
export function stage(
  view: ViewName,
  params: Record<string, unknown> = {},
  options: {
    provider?: FakeProvider;
    place?: Place;
    language?: 'en' | 'zh';
  } = {}
) {
  const provider = options.provider ?? recorded();
  const place = options.place ?? 'panel';
  const asked: IAsked = { inserted: [], copied: [], opened: [] };
  const View = VIEWS[view];
  const host = {
    provider,
    place,
    t: text(options.language ?? 'en'),
    actions: {
      copy: async (what: string) => asked.copied.push(what) > 0,
      openExternal: (url: string) => void asked.opened.push(url),
      ...(place === 'panel' && {
        insertCell: (code: string) => void asked.inserted.push(code)
      })
    }
  };
  const screen = render(
    <HostContext.Provider value={host}>
      <View params={params} />
    </HostContext.Provider>
  );
  return { ...screen, provider, asked };
}
