// A step of the build: takes away the declarations that no entry point leads to. They tell a user's compiler nothing, and an
// editor would offer to import from them.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import ts from 'typescript'

const root = path.dirname(import.meta.dirname)
const dist = path.join(root, 'dist')
const { exports } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'))
const entries = Object.values(exports).flatMap(({ types }) => (types ? [path.join(root, types)] : []))

const program = ts.createProgram(entries, {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
})
const checker = program.getTypeChecker()
const ours = (file) => file.fileName.startsWith(dist)
const files = program.getSourceFiles().filter(ours)

/** Top-level statements to keep, and the local names that they refer to. */
const kept = new Set()
const used = new Map(files.map((file) => [file, new Set()]))

for (const file of files) {
  const isEntry = entries.includes(file.fileName)
  // What changes other modules or the global scope is found by no name.
  for (const statement of file.statements) if (isEntry || ts.isModuleDeclaration(statement)) keep(statement)
}

/** Keeps a statement, and every declaration of ours that it refers to. */
function keep(statement) {
  if (kept.has(statement)) return
  kept.add(statement)
  visit(statement)
}

function visit(node) {
  if (ts.isIdentifier(node)) refer(node)
  ts.forEachChild(node, visit)
}

function refer(identifier) {
  const local = ts.isExportSpecifier(identifier.parent)
    ? checker.getExportSpecifierLocalTargetSymbol(identifier.parent)
    : checker.getSymbolAtLocation(identifier)
  if (local === undefined) return
  const symbol = local.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(local) : local
  used.get(identifier.getSourceFile())?.add(identifier.text)
  for (const statement of statementsOf(symbol)) keep(statement)
}

/** The top-level statements of ours that declare a symbol. */
function statementsOf(symbol) {
  return (symbol.declarations ?? []).flatMap((declaration) => {
    if (!ours(declaration.getSourceFile())) return []
    let statement = declaration
    while (statement.parent && !ts.isSourceFile(statement.parent)) statement = statement.parent
    return ts.isSourceFile(statement) || isLink(statement) ? [] : [statement]
  })
}

/** Imports, and exports from other modules. */
function isLink(statement) {
  return ts.isImportDeclaration(statement) || (ts.isExportDeclaration(statement) && statement.moduleSpecifier)
}

const printer = ts.createPrinter()
for (const file of files) {
  const names = used.get(file)
  const statements = file.statements.flatMap((statement) => {
    if (ts.isImportDeclaration(statement)) return importOf(statement, names)
    if (isLink(statement) && !kept.has(statement)) return exportOf(statement)
    return kept.has(statement) ? [statement] : []
  })
  if (statements.length > 0)
    await writeFile(file.fileName, printer.printFile(ts.factory.updateSourceFile(file, statements)))
  else await rm(file.fileName)
}

/** The import with the names that are used, if there are any. */
function importOf(statement, names) {
  const bindings = statement.importClause?.namedBindings
  if (statement.importClause?.name && names.has(statement.importClause.name.text)) return [statement]
  if (!bindings || ts.isNamespaceImport(bindings))
    return bindings && !names.has(bindings.name.text) ? [] : [statement]
  const elements = bindings.elements.filter(({ name }) => names.has(name.text))
  if (elements.length === 0) return []
  const clause = ts.factory.updateImportClause(
    statement.importClause,
    statement.importClause.phaseModifier,
    undefined,
    ts.factory.updateNamedImports(bindings, elements),
  )
  const { modifiers, moduleSpecifier, attributes } = statement
  return [ts.factory.updateImportDeclaration(statement, modifiers, clause, moduleSpecifier, attributes)]
}

/** The re-export with the names whose declarations are kept, if there are any. */
function exportOf(statement) {
  const { modifiers, isTypeOnly, exportClause, moduleSpecifier, attributes } = statement
  if (!exportClause || !ts.isNamedExports(exportClause)) return [statement]
  const elements = exportClause.elements.filter((element) => {
    const local = checker.getExportSpecifierLocalTargetSymbol(element)
    const symbol = local && local.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(local) : local
    return symbol !== undefined && statementsOf(symbol).some((each) => kept.has(each))
  })
  if (elements.length === 0) return []
  const clause = ts.factory.updateNamedExports(exportClause, elements)
  return [
    ts.factory.updateExportDeclaration(statement, modifiers, isTypeOnly, clause, moduleSpecifier, attributes),
  ]
}

const reached = new Set(files.map(({ fileName }) => fileName))
for (const name of await readdir(dist, { recursive: true })) {
  const file = path.join(dist, name)
  if (/\.d\.c?ts$/.test(file) && !reached.has(file)) await rm(file)
}
