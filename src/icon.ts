import { LabIcon } from '@jupyterlab/ui-components';

/** A nook with a small network in it. */
export const modelnookIcon = new LabIcon({
  name: 'modelnook:icon',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24">
  <g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M4 21V11a8 8 0 0 1 16 0v10h-2V11a6 6 0 0 0-12 0v10z"/>
    <path d="M3 19h18v2H3z"/>
    <circle cx="12" cy="9" r="1.7"/>
    <circle cx="9.2" cy="14.6" r="1.7"/>
    <circle cx="14.8" cy="14.6" r="1.7"/>
    <path d="m11.3 9.3.9.4-2.5 5.2-.9-.4zm1.4 0-.9.4 2.5 5.2.9-.4zM9.2 14.1h5.6v1H9.2z"/>
  </g>
</svg>`
});
