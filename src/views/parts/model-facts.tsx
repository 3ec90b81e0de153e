import * as React from 'react';

import type { ModelInfo } from '../../data/types';
import type { IText } from '../../text';
import { bytes } from '../format';
import { useHost } from '../host';

/** What a task is called; its own name where the catalogue has no word for it. */
export function useTaskName(): (task: string) => string {
  const { t } = useHost();
  return task => {
    const key = `ui.task.${task}`;
    return t.has(key) ? t(key) : task;
  };
}

/** The licence's id, or why there is none. */
export function licenceOf(info: ModelInfo, t: IText): string {
  return info.license_kind === 'own'
    ? t('ui.licence_short.own')
    : (info.license ?? t('ui.licence_short.unknown'));
}

/** The licence, marked by what kind it is. */
export function LicenceMark({ info }: { info: ModelInfo }): React.ReactElement {
  const { t } = useHost();
  return (
    <span
      className={`mn-licence mn-licence-${info.license_kind}`}
      title={t(`ui.licence.${info.license_kind}`)}
    >
      {licenceOf(info, t)}
    </span>
  );
}

/** What running and training need, against what this machine has free. */
export function Memory({
  info
}: {
  info: ModelInfo;
}): React.ReactElement | null {
  const { t } = useHost();
  const free = info.memory_free;
  const needs: [string, number | null][] = [
    [t('ui.memory.run'), info.memory_run],
    [t('ui.memory.lora'), info.memory_lora],
    [t('ui.memory.full'), info.memory_full]
  ];
  const known = needs.filter((need): need is [string, number] => !!need[1]);
  if (!known.length) {
    return null;
  }
  const most = Math.max(free ?? 0, ...known.map(([, need]) => need));
  return (
    <div className="mn-memory" data-testid="mn-memory">
      {known.map(([name, need]) => {
        const fits = free === null || need <= free;
        return (
          <div className="mn-memory-row" key={name}>
            <span className="mn-memory-name">{name}</span>
            <span className="mn-meter" aria-hidden="true">
              <span
                className={fits ? 'mn-meter-fill' : 'mn-meter-fill mn-over'}
                style={{ width: `${Math.max(2, (100 * need) / most)}%` }}
              />
              {free !== null && (
                <span
                  className="mn-meter-mark"
                  style={{ left: `${(100 * free) / most}%` }}
                />
              )}
            </span>
            <span className="mn-num mn-memory-need">
              {bytes(need, t)}
              {!fits && (
                <span className="mn-memory-over">{t('ui.memory.over')}</span>
              )}
            </span>
          </div>
        );
      })}
      {free !== null && (
        <p className="mn-small">
          {t('ui.memory.free', { free: bytes(free, t) })}
        </p>
      )}
    </div>
  );
}
