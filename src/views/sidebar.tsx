import * as React from 'react';

import { Catalog } from './catalog';
import type { IViewProps } from './host';
import { HostContext, useHost } from './host';
import { Runs } from './runs';

type Tab = 'models' | 'runs';

const TABS: Tab[] = ['models', 'runs'];

/** What a reference led to in a tab; each has its own, so that a look into the other tab closes nothing. */
interface IOpened {
  ref?: string;
  nonce?: number;
}

/**
 * The two tabs of the sidebar: the one behind rests; a reference in one opens its page in the other. Params: `tab` (with a `nonce` that
 * makes the same tab be shown again), `pageSize`.
 */
export function Sidebar({ params }: IViewProps): React.ReactElement {
  const host = useHost();
  const { t } = host;
  const id = React.useId();
  const [tab, setTab] = React.useState<Tab>(tabOf(params.tab));
  const [model, setModel] = React.useState<IOpened>({});
  const [run, setRun] = React.useState<IOpened>({});

  React.useEffect(() => setTab(tabOf(params.tab)), [params.tab, params.nonce]);

  const [seen, unseen] = React.useMemo(() => {
    const open = (view: 'model-card' | 'run', ref: string) => {
      (view === 'run' ? setRun : setModel)({ ref, nonce: Date.now() });
      setTab(view === 'run' ? 'runs' : 'models');
    };
    return [
      { ...host, open },
      { ...host, open, idle: true }
    ];
  }, [host]);

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
      event.preventDefault();
      const other = TABS[1 - TABS.indexOf(tab)];
      setTab(other);
      document.getElementById(`${id}${other}`)?.focus();
    }
  };

  return (
    <div className="mn-sidebar" data-testid="mn-sidebar">
      <div
        className="mn-tabs"
        role="tablist"
        aria-label="modelnook"
        onKeyDown={onKeyDown}
      >
        {TABS.map(one => (
          <button
            key={one}
            id={`${id}${one}`}
            role="tab"
            className="mn-tab"
            aria-selected={one === tab}
            aria-controls={`${id}${one}-panel`}
            tabIndex={one === tab ? 0 : -1}
            onClick={() => setTab(one)}
            data-testid={`mn-tab-${one}`}
          >
            {t(`ui.tab.${one}`)}
          </button>
        ))}
      </div>
      {TABS.map(one => (
        <div
          key={one}
          id={`${id}${one}-panel`}
          role="tabpanel"
          className="mn-tabpanel"
          aria-labelledby={`${id}${one}`}
          hidden={one !== tab}
        >
          <HostContext.Provider value={one === tab ? seen : unseen}>
            {one === 'models' ? (
              <Catalog
                params={{
                  pageSize: params.pageSize,
                  ref: model.ref,
                  nonce: model.nonce
                }}
              />
            ) : (
              <Runs
                params={{
                  pageSize: params.pageSize,
                  run: run.ref,
                  nonce: run.nonce
                }}
              />
            )}
          </HostContext.Provider>
        </div>
      ))}
    </div>
  );
}

function tabOf(value: unknown): Tab {
  return value === 'runs' ? 'runs' : 'models';
}
