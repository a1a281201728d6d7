// Starts what each page has. Loaded by base.html; a page works without it, except for changes.
import { startActions } from "./actions.js";
import { startBars } from "./bars.js";
import { startCharts } from "./charts.js";
import { startCopying } from "./copying.js";
import { startKeys } from "./keys.js";
import { startMenus } from "./menus.js";
import { rememberPage } from "./palette.js";
import { startRefresh } from "./refresh.js";
import { startTimes } from "./times.js";

startTimes();
startActions();
startBars();
startCharts();
startCopying();
startKeys();
startMenus();
rememberPage();
if (document.documentElement.hasAttribute("data-refresh")) startRefresh();
