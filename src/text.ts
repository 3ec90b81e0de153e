import en from '../python/modelnook/messages/en/ui.json';
import zh from '../python/modelnook/messages/zh/ui.json';

export type Language = 'en' | 'zh';

const CATALOGUE: Record<Language, Record<string, string>> = { en, zh };

/**
 * The text of a key of the message catalogue (ui.WHERE.WHAT), with its `{placeholders}` filled.
 */
export interface IText {
  (key: string, values?: Record<string, string | number>): string;

  /** The language it speaks, as BCP 47 wants it. */
  readonly lang: string;

  /** Whether the catalogue has the key. */
  has(key: string): boolean;
}

/** The language of a code as JupyterLab, a browser or a person gives it: `zh_CN`, `zh-Hans`, `en`, `auto` … */
export function languageOf(code: string | null | undefined): Language {
  return code?.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

/**
 * The language of labels that stand beside the server's sentences: Chinese where JupyterLab or the server speaks it,
 * unless the person told modelnook to speak English.
 */
export function spoken(
  display: Language,
  settings: Record<string, unknown>
): Language {
  return settings.language === 'en'
    ? languageOf(settings.speaks as string)
    : settings.speaks === 'zh'
      ? 'zh'
      : display;
}

/** The catalogue in one language. */
export function text(language: Language): IText {
  const entries = CATALOGUE[language];
  const entry = (key: string): string | undefined =>
    entries[key.replace(/^ui\./, '')];
  const t = (key: string, values: Record<string, string | number> = {}) =>
    (entry(key) ?? key).replace(/\{(\w+)\}/g, (whole, name) =>
      name in values ? String(values[name]) : whole
    );
  return Object.assign(t, {
    lang: language === 'zh' ? 'zh-CN' : 'en',
    has: (key: string) => entry(key) !== undefined
  });
}
