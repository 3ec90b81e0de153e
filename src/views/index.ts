import type * as React from 'react';

import { Catalog } from './catalog';
import { Compare } from './compare';
import type { IViewProps } from './host';
import { ModelCard } from './model-card';
import { RunView } from './run';
import { Runs } from './runs';
import { Sidebar } from './sidebar';

/** One line a view: what `mount` and the cell widget know it by. */
export const VIEWS = {
  catalog: Catalog,
  compare: Compare,
  'model-card': ModelCard,
  run: RunView,
  runs: Runs,
  sidebar: Sidebar
} satisfies Record<string, React.ComponentType<IViewProps>>;

export type ViewName = keyof typeof VIEWS;
