import ts from 'typescript';

/** One place of a source file that names a module, or that names one in a way nobody can read. */
export interface Reference {
  how: 'import' | 'url' | 'literal' | 'computed';
  specifier: string;
  line: number;
}

export interface Unit {
  references: Reference[];
  /** Lines of `export *`. */
  starExports: number[];
  /** Lines of default exports. */
  defaultExports: number[];
}

/** Reads one TypeScript or JavaScript source with the compiler's own parser. */
export function readUnit(path: string, text: string): Unit {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const unit: Unit = { references: [], starExports: [], defaultExports: [] };
  const requires = new Set(['require', ...createdRequires(source)]);
  const lineOf = (node: ts.Node) =>
    source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
  const add = (how: Reference['how'], node: ts.Node, name: ts.Node | undefined) => {
    const literal = name !== undefined && ts.isStringLiteralLike(name);
    const specifier = literal ? name.text : (name ?? node).getText(source);
    unit.references.push({ how: literal ? how : 'computed', specifier, line: lineOf(node) });
  };
  const visit = (node: ts.Node): void => {
    const loaded = moduleName(node, requires);
    if (loaded !== undefined) add('import', node, loaded.name);
    else if (isUrlBesideModule(node)) addUrl(node, add);
    else if (ts.isStringLiteralLike(node)) add('literal', node, node);
    if (ts.isExportDeclaration(node) && isStar(node)) unit.starExports.push(lineOf(node));
    if (isDefaultExport(node)) unit.defaultExports.push(lineOf(node));
    ts.forEachChild(node, visit);
  };
  visit(source);
  for (const file of source.referencedFiles) {
    unit.references.push({ how: 'import', specifier: `./${file.fileName}`, line: 1 });
  }
  return unit;
}

/** The module that a node loads, in any of the ways there are; its name may be a computed one. */
function moduleName(
  node: ts.Node,
  requires: Set<string>,
): { name: ts.Node | undefined } | undefined {
  if (ts.isImportDeclaration(node)) return { name: node.moduleSpecifier };
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    return { name: node.moduleSpecifier };
  }
  if (ts.isExternalModuleReference(node)) return { name: node.expression };
  if (ts.isImportTypeNode(node)) {
    return { name: ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node.argument };
  }
  if (ts.isCallExpression(node) && isLoader(node.expression, requires)) {
    return { name: node.arguments[0] };
  }
  return undefined;
}

function isLoader(callee: ts.Expression, requires: Set<string>): boolean {
  if (callee.kind === ts.SyntaxKind.ImportKeyword) return true;
  if (ts.isIdentifier(callee)) return requires.has(callee.text);
  if (isCreateRequire(callee)) return true;
  if (!ts.isPropertyAccessExpression(callee) || callee.name.text !== 'resolve') return false;
  const owner = callee.expression;
  return (ts.isIdentifier(owner) && requires.has(owner.text)) || ts.isMetaProperty(owner);
}

function isCreateRequire(node: ts.Node): boolean {
  if (!ts.isCallExpression(node)) return false;
  const callee = node.expression;
  const name = ts.isPropertyAccessExpression(callee) ? callee.name : callee;
  return ts.isIdentifier(name) && name.text === 'createRequire';
}

/** The names under which a file keeps what `createRequire` gave it. */
function createdRequires(source: ts.SourceFile): string[] {
  const names: string[] = [];
  const visit = (node: ts.Node): void => {
    if (
      ts.isVariableDeclaration(node) &&
      ts.isIdentifier(node.name) &&
      node.initializer !== undefined &&
      isCreateRequire(node.initializer)
    ) {
      names.push(node.name.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return names;
}

function isUrlBesideModule(node: ts.Node): node is ts.NewExpression {
  if (!ts.isNewExpression(node) || !ts.isIdentifier(node.expression)) return false;
  const base = node.arguments?.[1];
  return (
    node.expression.text === 'URL' &&
    base !== undefined &&
    ts.isPropertyAccessExpression(base) &&
    ts.isMetaProperty(base.expression) &&
    base.name.text === 'url'
  );
}

/** A computed URL may well be data, so only a written-out one is held against the walls. */
function addUrl(
  node: ts.NewExpression,
  add: (how: Reference['how'], node: ts.Node, name: ts.Node) => void,
): void {
  const name = node.arguments?.[0];
  if (name !== undefined && ts.isStringLiteralLike(name)) add('url', node, name);
}

function isStar(node: ts.ExportDeclaration): boolean {
  return node.exportClause === undefined || ts.isNamespaceExport(node.exportClause);
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  if (ts.isExportSpecifier(node)) return node.name.text === 'default';
  if (!ts.canHaveModifiers(node)) return false;
  return ts.getModifiers(node)?.some((one) => one.kind === ts.SyntaxKind.DefaultKeyword) ?? false;
}
