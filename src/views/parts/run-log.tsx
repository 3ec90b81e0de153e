import * as React from 'react';

import type { Run } from '../../data/types';
import { useHost } from '../host';
import { shown } from '../live';
import { isLive } from './run-state';
import { ErrorNotice } from './notice';

const KEPT = 20000;
const READS_AT_ONCE = 40;

/** The end of a run's log, read on when it is open and the run goes on. */
export function RunLog({ run }: { run: Run }): React.ReactElement {
  const { t } = useHost();
  const [open, setOpen] = React.useState(false);
  return (
    <details
      className="mn-details"
      onToggle={event => setOpen(event.currentTarget.open)}
    >
      <summary>{t('ui.run.log')}</summary>
      {open && <LogText run={run} />}
    </details>
  );
}

function LogText({ run }: { run: Run }): React.ReactElement {
  const { provider, t, idle } = useHost();
  const [text, setText] = React.useState('');
  const [error, setError] = React.useState<ReturnType<typeof shown>>();
  const again = React.useRef<() => void>(() => undefined);
  const pre = React.useRef<HTMLPreElement>(null);
  const live = isLive(run);

  React.useEffect(() => {
    const end = new AbortController();
    let offset = -KEPT; // from the end
    let busy = false;
    const readOn = async () => {
      if (busy) {
        return;
      }
      busy = true;
      try {
        for (let i = 0; i < READS_AT_ONCE; i++) {
          const log = await provider.call(
            'log',
            { run: run.id, offset },
            { signal: end.signal }
          );
          const moved = log.offset > offset;
          offset = log.offset;
          setError(undefined);
          if (log.text) {
            setText(old => (old + log.text).slice(-KEPT));
          }
          if (!moved) {
            break;
          }
        }
      } catch (thrown) {
        if (!end.signal.aborted) {
          setError(shown(thrown));
        }
      }
      busy = false;
    };
    if (idle) {
      return;
    }
    setText('');
    setError(undefined);
    again.current = () => void readOn();
    void readOn();
    const stop = live
      ? provider.watch(`run:${run.id}`, () => void readOn())
      : undefined;
    return () => {
      end.abort();
      stop?.();
    };
  }, [provider, run.id, live, idle]);

  React.useEffect(() => {
    if (pre.current) {
      pre.current.scrollTop = pre.current.scrollHeight;
    }
  }, [text]);

  return (
    <>
      {error && <ErrorNotice error={error} retry={() => again.current()} />}
      {(text || !error) && (
        <pre ref={pre} className="mn-pre" tabIndex={0} data-testid="mn-log">
          {text || t('ui.run.log_empty')}
        </pre>
      )}
    </>
  );
}
