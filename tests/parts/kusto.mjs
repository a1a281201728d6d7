// Analyses KQL with Microsoft's language service. Run by tests/parts/kusto.py: `node kusto.mjs FOLDER`, where FOLDER
// has the package; stdin {"tables": {NAME: "column:type, ..."}, "queries": [TEXT, ...]}, stdout a list of diagnostics
// for each query.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const load = createRequire(join(resolve(process.argv[2]), "package.json"));
load("./bridge.min.js");
load("./Kusto.Language.Bridge.min.js");

const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;
const { tables, queries } = JSON.parse(readFileSync(0, "utf-8"));

const members = new (globalThis.System.Collections.Generic.List$1(Symbols.Symbol).ctor)();
for (const [name, columns] of Object.entries(tables)) {
  members.add(new Symbols.TableSymbol.$ctor7(name, `(${columns})`, null));
}
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor3("component", null, members, false));

const analyse = (query) => {
  const found = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, at) => {
    const { Code, Severity, Message, Start, Length } = found.getItem(at);
    return { code: Code, severity: Severity, message: Message, text: query.slice(Start, Start + Length) };
  });
};
process.stdout.write(JSON.stringify(queries.map(analyse)));
