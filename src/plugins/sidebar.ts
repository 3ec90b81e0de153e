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
import { languageOf, spoken, text } from '../text';
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
    const provider = new RestProvider(app.serviceManager.serverSettings);
    let told: ISidebarOptions['language'] = 'auto';
    let heard: Language = display;
    let tab: Tab = 'models';
    let pageSize = 20;
    let nonce = 0;

    const panel = new ViewPanel(
      'sidebar',
      provider,
      {
        params: { tab, pageSize },
        language: display,
        place: 'panel',
        actions: {
          ...BROWSER_ACTIONS,
          insertCell: code => {
            void app.commands.execute('modelnook:insert', { code });
          }
        }
      },
      () => void listen()
    );
    panel.id = 'modelnook-sidebar';
    panel.title.icon = modelnookIcon;
    panel.title.caption = text(display)('ui.sidebar.caption');
    app.shell.add(panel, 'left', { rank: 600 });
    restorer?.add(panel, panel.id);

    const language = (): Language => (told === 'auto' ? heard : told);
    const refresh = () => {
      panel.title.caption = text(language())('ui.sidebar.caption');
      panel.configure({
        language: language(),
        params: { tab, pageSize, nonce }
      });
    };
    const listen = async () => {
      try {
        const now = spoken(display, await provider.call('settings', {}));
        if (now !== heard) {
          heard = now;
          refresh();
        }
      } catch {
        // The views say that there is no answer.
      }
    };
    return {
      show: (wanted: Tab) => {
        tab = wanted;
        nonce += 1;
        refresh();
        app.shell.activateById(panel.id);
      },
      configure: (options: Partial<ISidebarOptions>) => {
        told = options.language ?? 'auto';
        pageSize = options.pageSize ?? pageSize;
        tab = nonce === 0 ? (options.defaultTab ?? tab) : tab;
        refresh();
      },
      get text() {
        return text(language());
      }
    };
  }
};
