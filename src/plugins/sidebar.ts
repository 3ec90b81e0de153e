import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ITranslator } from '@jupyterlab/translation';

import { RestProvider } from '../data/rest';
import { BROWSER_ACTIONS } from '../hosts/browser';
import { ViewPanel } from '../hosts/panel';
import { modelnookIcon } from '../icon';
import type { Language } from '../text';
import { languageOf, text } from '../text';
import type { ISidebarOptions, Tab } from '../tokens';
import { ISidebar } from '../tokens';

/**
 * The one panel on the left, with the tabs Models and Runs.
 */
export const sidebar: JupyterFrontEndPlugin<ISidebar> = {
  id: 'modelnook:sidebar',
  description: 'The model catalogue and the run history in the left sidebar.',
  autoStart: true,
  optional: [ITranslator, ILayoutRestorer],
  provides: ISidebar,
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null
  ): ISidebar => {
    const display = languageOf(translator?.languageCode);
    let language: Language = display;
    let tab: Tab = 'models';
    let pageSize = 20;
    let nonce = 0;

    const panel = new ViewPanel(
      'sidebar',
      new RestProvider(app.serviceManager.serverSettings),
      {
        params: { tab, pageSize },
        language,
        place: 'panel',
        actions: {
          ...BROWSER_ACTIONS,
          insertCell: code => {
            void app.commands.execute('modelnook:insert', { code });
          }
        }
      }
    );
    panel.id = 'modelnook-sidebar';
    panel.title.icon = modelnookIcon;
    panel.title.caption = text(language)('ui.sidebar.caption');
    app.shell.add(panel, 'left', { rank: 600 });
    restorer?.add(panel, panel.id);

    const refresh = () => {
      panel.title.caption = text(language)('ui.sidebar.caption');
      panel.configure({ language, params: { tab, pageSize, nonce } });
    };
    return {
      show: (wanted: Tab) => {
        tab = wanted;
        nonce += 1;
        refresh();
        app.shell.activateById(panel.id);
      },
      configure: (options: Partial<ISidebarOptions>) => {
        language =
          !options.language || options.language === 'auto'
            ? display
            : options.language;
        pageSize = options.pageSize ?? pageSize;
        tab = nonce === 0 ? (options.defaultTab ?? tab) : tab;
        refresh();
      },
      get text() {
        return text(language);
      }
    };
  }
};
