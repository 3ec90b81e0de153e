import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator } from '@jupyterlab/translation';

import type { IText } from '../text';
import { languageOf, text } from '../text';
import type { ISidebarOptions } from '../tokens';
import { ISidebar } from '../tokens';

const ID = 'modelnook:plugin';

/**
 * What a person sets, and the settings editor in their language.
 */
export const settings: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'The settings of the sidebar.',
  autoStart: true,
  requires: [ISidebar],
  optional: [ISettingRegistry, ITranslator],
  activate: (
    _: JupyterFrontEnd,
    sidebar: ISidebar,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ): void => {
    if (!registry) {
      return;
    }
    const t = text(languageOf(translator?.languageCode));
    registry.transform(ID, {
      fetch: plugin => ({ ...plugin, schema: translated(plugin.schema, t) })
    });
    registry
      .load(ID)
      .then(loaded => {
        const take = () =>
          sidebar.configure(
            loaded.composite as unknown as Partial<ISidebarOptions>
          );
        loaded.changed.connect(take);
        take();
      })
      .catch((reason: unknown) => {
        console.error(`${ID}: the settings could not be read`, reason);
      });
  }
};

/** A schema with its titles and descriptions in another language. */
export function translated(
  schema: ISettingRegistry.ISchema,
  t: IText
): ISettingRegistry.ISchema {
  const properties = Object.entries(schema.properties ?? {}).map(
    ([name, property]) => [
      name,
      {
        ...property,
        title: t(`ui.settings.${name}.title`),
        description: t(`ui.settings.${name}.description`)
      }
    ]
  );
  return {
    ...schema,
    title: t('ui.settings.title'),
    description: t('ui.settings.description'),
    properties: Object.fromEntries(properties)
  };
}
