import * as React from 'react';

import type { History } from '../data/answers';
import type { Environment } from '../data/parts';
import type { Run } from '../data/types';
import {
  ago,
  anything,
  compact,
  count,
  duration,
  figure,
  moment,
  plain
} from './format';
import type { IViewProps } from './host';
import { useHost } from './host';
import { useIsLive, useLive } from './live';
import { Jump } from './parts/jump';
import { useTaskName } from './parts/model-facts';
import { ErrorNotice, Facts, Section } from './parts/notice';
import { DeleteRun, RunActions } from './parts/run-actions';
import { Planned } from './parts/planned';
import { RunCandidates } from './parts/run-candidates';
import { RunCharts } from './parts/run-charts';
import { RunLog } from './parts/run-log';
import { RunMetrics } from './parts/run-metrics';
import { RunParity } from './parts/run-parity';
import { RunProgress } from './parts/run-progress';
import { RunReport } from './parts/run-report';
import { RunSteps } from './parts/run-steps';
import { RunTrials } from './parts/run-trials';
import { StateIcon, cameFrom, isLive, useKindName } from './parts/run-state';
import { typed } from './parts/typed';
import { PlannedLine, WandbLine, isLogged } from './parts/wandb';

const POINTS = 500;

/**
 * One run, live. Params: `run` (its id), `compact` (what a cell shows while it waits; the default there).
 */
export function RunView({
  params,
  onGone
}: IViewProps & { onGone?(): void }): React.ReactElement {
  const { t, place } = useHost();
  const id = String(params.run ?? '');
  const brief = (params.compact ?? place === 'cell') === true;
  const topics = [`run:${id}`];
  const { value: run, error, reload } = useLive('run', { run: id }, topics);
  const series = useLive(
    'history',
    run ? { run: id, points: POINTS } : null,
    topics
  );
  if (!run) {
    return error ? (
      <ErrorNotice error={error} retry={reload} />
    ) : (
      <p className="mn-status" role="status">
        {t('ui.loading')}
      </p>
    );
  }
  return (
    <article
      className={brief ? 'mn-run-card mn-brief' : 'mn-run-card'}
      data-testid="mn-run"
      data-state={run.state}
    >
      <Head run={run} onDone={reload} />
      {isLive(run) && <PlannedLine run={run} />}
      {error && <ErrorNotice error={error} retry={reload} />}
      <RunProgress run={run} />
      <Planned run={run} />
      {run.state === 'running' && <Now run={run} history={series.value} />}
      <Busy run={run} />
      {run.error && <ErrorNotice error={run.error} />}
      <Warnings warnings={run.warnings} folded={brief} />
      <Charts run={run} history={series.value} brief={brief} />
      {Object.keys(run.metrics).length > 0 && (
        <Section title={t('ui.run.metrics')}>
          <RunMetrics run={run} />
        </Section>
      )}
      {run.report?.trials && <RunTrials run={run} brief={brief} />}
      {run.report?.before && (
        <Section title={t('ui.run.report')}>
          <RunReport report={run.report} />
          <RunSteps report={run.report} />
          {!brief && <RunCandidates report={run.report} />}
        </Section>
      )}
      {run.report?.equal !== undefined && (
        <Section title={t('ui.run.parity')}>
          <RunParity report={run.report} />
        </Section>
      )}
      {brief ? (
        <WandbLine run={run} />
      ) : (
        <Details run={run} onDeleted={() => onGone?.()} />
      )}
    </article>
  );
}

function Head(props: { run: Run; onDone(): void }): React.ReactElement {
  const { t } = useHost();
  const kindName = useKindName();
  const { run, onDone } = props;
  const took =
    run.started && run.ended
      ? (Date.parse(run.ended) - Date.parse(run.started)) / 1000
      : null;
  return (
    <header className="mn-run-head">
      <StateIcon state={run.state} />
      <div className="mn-run-headline">
        <h2 className="mn-title">{run.name}</h2>
        <p className="mn-row-meta">
          <span className={`mn-word-${run.state}`}>
            {t(`ui.state.${run.state}`)}
          </span>
          <span>{kindName(run.kind)}</span>
          {took !== null ? (
            <span>{t('ui.run.took', { time: duration(took, t) })}</span>
          ) : (
            <span>{ago(run.started ?? run.created, t)}</span>
          )}
          {run.origin !== 'local' && (
            <span className="mn-badge">{cameFrom(run, t)}</span>
          )}
        </p>
      </div>
      <RunActions run={run} onDone={onDone} />
    </header>
  );
}

/** The figures of this moment. */
function Now(props: { run: Run; history?: History }): React.ReactElement {
  const { t } = useHost();
  const { run, history } = props;
  const name = run.primary_metric;
  const seen =
    history &&
    name &&
    (history.series[`eval_${name}`] ?? history.series[name])?.value;
  const figures: [string, string][] = [
    [t('ui.now.loss'), figure(run.progress?.loss, t)],
    [
      name ?? t('ui.now.metric'),
      figure(seen ? seen[seen.length - 1] : undefined, t)
    ],
    [t('ui.now.rows'), compact(run.progress?.rows_per_s)],
    [
      t('ui.now.epoch'),
      run.progress?.epochs
        ? `${plain(round(run.progress.epoch), t)}/${run.progress.epochs}`
        : plain(round(run.progress?.epoch), t)
    ]
  ];
  return (
    <dl className="mn-now">
      {figures.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd className="mn-num">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function round(value: number | null | undefined): number | null {
  return value === null || value === undefined
    ? null
    : Number(value.toFixed(1));
}

/** Where the kernel is busy with the cell, its Stop button can't be heard. */
function Busy({ run }: { run: Run }): React.ReactElement | null {
  const { t } = useHost();
  const live = useIsLive();
  return live || !isLive(run) ? null : (
    <p className="mn-notice mn-notice-note" data-testid="mn-interrupt">
      {t('ui.run.interrupt')}
    </p>
  );
}

/** The first one in sight, so that the curves are too; a cell shows how many there are. */
function Warnings(props: {
  warnings: string[];
  folded: boolean;
}): React.ReactElement | null {
  const { t } = useHost();
  const { warnings, folded } = props;
  const first = folded ? [] : warnings.slice(0, 1);
  const others = warnings.slice(first.length);
  const list = (some: string[]) => (
    <ul className="mn-warnings">
      {some.map(warning => (
        <li key={warning} className="mn-notice mn-notice-warn">
          {typed(warning)}
        </li>
      ))}
    </ul>
  );
  return (
    <>
      {first.length > 0 && list(first)}
      {others.length > 0 && (
        <details className="mn-details" data-testid="mn-warnings">
          <summary>
            {t(folded ? 'ui.run.warnings' : 'ui.run.more_warnings', {
              n: others.length
            })}
          </summary>
          {list(others)}
        </details>
      )}
    </>
  );
}

function Charts(props: {
  run: Run;
  history?: History;
  brief: boolean;
}): React.ReactElement | null {
  const { t } = useHost();
  const { run, history, brief } = props;
  const [table, setTable] = React.useState(false);
  if (history?.note) {
    return (
      <p className="mn-notice mn-notice-note" data-testid="mn-no-curves">
        {history.note}
      </p>
    );
  }
  if (!history || !Object.keys(history.series).length) {
    return null;
  }
  return (
    <Section
      title={t('ui.run.course')}
      extra={
        <button
          className="mn-link"
          aria-pressed={table}
          onClick={() => setTable(!table)}
          data-testid="mn-as-table"
        >
          {table ? t('ui.action.as_chart') : t('ui.action.as_table')}
        </button>
      }
    >
      <RunCharts
        history={history}
        primary={run.primary_metric}
        height={brief ? 120 : 150}
        table={table}
      />
    </Section>
  );
}

/** What it was computed with. */
function Surroundings({ of }: { of: Environment }): React.ReactElement {
  const { t } = useHost();
  const packages = Object.entries(of.packages ?? {});
  return (
    <details className="mn-details" data-testid="mn-environment">
      <summary>{t('ui.run.environment', { n: packages.length })}</summary>
      <Facts
        rows={[
          ['Python', of.python],
          [t('ui.run.system'), of.system],
          ...packages
        ]}
      />
    </details>
  );
}

function Details(props: { run: Run; onDeleted(): void }): React.ReactElement {
  const { t, open } = useHost();
  const taskName = useTaskName();
  const { run } = props;
  const model = (ref: string | null) =>
    ref && <Jump id={ref} to={open && (id => open('model-card', id))} />;
  const columns = run.data && Object.values(run.data.columns ?? {}).join(', ');
  const params = Object.entries(run.params);
  return (
    <>
      <Section title={t('ui.run.about')}>
        <Facts
          rows={[
            [t('ui.run.model'), model(run.model)],
            [t('ui.run.base'), model(run.base)],
            [t('ui.run.task'), run.task && taskName(run.task)],
            [t('ui.run.method'), String(run.params.method ?? run.method ?? '')],
            [t('ui.run.data'), run.data?.name],
            [t('ui.run.rows'), run.data && count(run.data.rows, t)],
            [t('ui.run.columns'), columns],
            [
              t('ui.run.fingerprint'),
              run.data?.fingerprint && (
                <code title={run.data.fingerprint}>
                  {run.data.fingerprint.slice(0, 12)}
                </code>
              )
            ],
            [t('ui.run.device'), run.device],
            [t('ui.run.hardware'), run.environment?.hardware],
            [t('ui.run.host'), run.host],
            [t('ui.run.notebook'), run.notebook],
            [t('ui.run.started'), run.started && moment(run.started, t)],
            [t('ui.run.id'), <code key="id">{run.id}</code>],
            ['W&B', isLogged(run) && <WandbLine key="wandb" run={run} />]
          ]}
        />
      </Section>
      {params.length > 0 && (
        <details className="mn-details">
          <summary>{t('ui.run.params', { n: params.length })}</summary>
          <Facts
            rows={params.map(([name, value]) => [name, anything(value, t)])}
          />
        </details>
      )}
      {run.environment && <Surroundings of={run.environment} />}
      {run.origin === 'local' && <RunLog run={run} />}
      <DeleteRun run={run} onDone={props.onDeleted} />
    </>
  );
}
