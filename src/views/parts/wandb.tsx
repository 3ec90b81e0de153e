import * as React from 'react';

import type { Run } from '../../data/types';
import { useHost } from '../host';

/** Where a run that goes on is going to be logged; a training that is logged nowhere says that too. */
export function PlannedLine({ run }: { run: Run }): React.ReactElement | null {
  const { t } = useHost();
  const { wandb, kind } = run;
  if (!wandb && kind !== 'finetune') {
    return null;
  }
  const project = wandb?.project ?? '';
  return (
    <p className="mn-wandb" data-testid="mn-planned">
      {!wandb
        ? t('ui.wandb.to_nowhere')
        : wandb.mode === 'online'
          ? t('ui.wandb.to_online', { project })
          : t('ui.wandb.to_folder')}
    </p>
  );
}

/** Whether there is anything of it at W&B, or that could be sent there. */
export function isLogged({ wandb }: Run): boolean {
  return !!(wandb?.url || wandb?.path);
}

/** Where a run is logged: a link where it is online, the offline folder where it isn't. */
export function WandbLine({ run }: { run: Run }): React.ReactElement | null {
  const { t, actions } = useHost();
  const { wandb } = run;
  if (!wandb || !isLogged(run)) {
    return null;
  }
  const url = wandb.url && /^https?:\/\//.test(wandb.url) ? wandb.url : null;
  return (
    <p className="mn-wandb" data-testid="mn-wandb">
      {url ? (
        <a
          className="mn-link"
          href={url}
          rel="noreferrer"
          onClick={event => {
            event.preventDefault();
            actions.openExternal(url);
          }}
        >
          {t('ui.wandb.open')}
        </a>
      ) : (
        <>
          <span>{t('ui.wandb.offline')}</span> <code>{wandb.path}</code>
        </>
      )}
    </p>
  );
}
