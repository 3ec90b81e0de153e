import * as React from 'react';

import type { RpcError } from '../../data/provider';
import type { Run } from '../../data/types';
import { useHost } from '../host';
import { shown } from '../live';
import { ErrorNotice } from './notice';
import { isLive } from './run-state';

type Verb = 'stop' | 'resume' | 'delete';

export interface IRunDoing {
  /** What was asked of the run and isn't done yet. */
  doing: Verb | null;
  error: RpcError | undefined;
  ask(verb: Verb): void;
}

/** Asks a run to stop, resume or go; a stop counts as under way until the run has really ended. */
export function useRunDoing(run: Run, onDone: () => void): IRunDoing {
  const { provider } = useHost();
  const [doing, setDoing] = React.useState<Verb | null>(null);
  const [error, setError] = React.useState<RpcError>();
  const live = isLive(run);
  const here = React.useRef<string | null>(null);

  React.useEffect(() => {
    here.current = run.id;
    return () => {
      here.current = null;
    };
  }, [run.id]);
  React.useEffect(() => {
    setDoing(now => (now === 'stop' && !live ? null : now));
  }, [live]);

  const ask = async (verb: Verb) => {
    setDoing(verb);
    setError(undefined);
    try {
      const answer = await provider.call(verb, { run: run.id });
      // Who has left this run for another page isn't taken away from there.
      if (here.current !== run.id) {
        return;
      }
      setDoing(verb === 'stop' && isLive(answer ?? run) ? 'stop' : null);
      onDone();
    } catch (thrown) {
      setDoing(null);
      setError(shown(thrown));
    }
  };
  return { doing, error, ask: verb => void ask(verb) };
}

/** Stop and Resume, where they have a meaning; a run of somebody else's has neither. */
export function RunActions(props: {
  run: Run;
  onDone(): void;
}): React.ReactElement | null {
  const { t } = useHost();
  const { run, onDone } = props;
  const { doing, error, ask } = useRunDoing(run, onDone);
  if (run.origin !== 'local' || (!isLive(run) && !run.resumable)) {
    return null;
  }
  // Asked here just now, or by anybody else before.
  const stopping = doing === 'stop' || run.stopping;
  return (
    <>
      {isLive(run) ? (
        <button
          className="mn-button mn-stop"
          disabled={stopping}
          onClick={() => ask('stop')}
          aria-label={t('ui.run.stop_named', { name: run.name })}
          data-testid="mn-stop"
        >
          {stopping ? t('ui.action.stopping') : t('ui.action.stop')}
        </button>
      ) : (
        <button
          className="mn-button"
          disabled={doing === 'resume'}
          onClick={() => ask('resume')}
          aria-label={t('ui.run.resume_named', { name: run.name })}
          data-testid="mn-resume"
        >
          {t('ui.action.resume')}
        </button>
      )}
      {error && <ErrorNotice error={error} />}
    </>
  );
}

/** Delete, asked twice. */
export function DeleteRun(props: {
  run: Run;
  onDone(): void;
}): React.ReactElement | null {
  const { t } = useHost();
  const { run, onDone } = props;
  const [sure, setSure] = React.useState(false);
  const { doing, error, ask } = useRunDoing(run, onDone);
  if (run.origin !== 'local' || isLive(run)) {
    return null;
  }
  return (
    <div className="mn-buttons mn-delete">
      <button
        className={sure ? 'mn-button mn-stop' : 'mn-button'}
        disabled={doing === 'delete'}
        onClick={event => {
          if (!sure) {
            setSure(true);
          } else if (event.detail < 2) {
            // The second half of a double click has read no question.
            ask('delete');
          }
        }}
        onBlur={() => setSure(false)}
        data-testid="mn-delete"
      >
        {sure ? t('ui.action.delete_sure') : t('ui.action.delete')}
      </button>
      {error && <ErrorNotice error={error} />}
    </div>
  );
}
