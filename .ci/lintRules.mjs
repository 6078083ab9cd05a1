// Lint rules of this project that no package has.
import { readdirSync } from 'node:fs'
import path from 'node:path'

const root = path.dirname(import.meta.dirname)

/** Packages of Node first, then other packages, then this project's files; each group in alphabetical order. */
function rankOf(specifier) {
  if (specifier.startsWith('node:')) return 0
  return specifier.startsWith('.') ? 2 : 1
}

function compareImports(a, b) {
  const [left, right] = [a.source.value, b.source.value]
  const byRank = rankOf(left) - rankOf(right)
  if (byRank !== 0) return byRank
  return left < right ? -1 : left > right ? 1 : 0
}

/** Import declarations are sorted. An import without names runs code, so nothing is moved across it. */
export const importOrder = {
  meta: {
    type: 'layout',
    fixable: 'code',
    schema: [],
    messages: {
      unsorted: "Sort the imports: Node's modules, then packages, then relative paths, each alphabetically.",
    },
  },
  create(context) {
    const { sourceCode } = context

    function check(group) {
      const sorted = group.toSorted(compareImports)
      const wrong = group.find((node, index) => node !== sorted[index])
      if (wrong === undefined) return
      const [first, last] = [group[0], group.at(-1)]
      const commented = sourceCode
        .getAllComments()
        .some(({ range }) => range[0] > first.range[0] && range[1] < last.range[1])
      context.report({
        node: wrong,
        messageId: 'unsorted',
        fix: commented
          ? null
          : (fixer) =>
              fixer.replaceTextRange(
                [first.range[0], last.range[1]],
                sorted.map((node) => sourceCode.getText(node)).join('\n'),
              ),
      })
    }

    return {
      Program({ body }) {
        let group = []
        for (const node of body) {
          if (node.type === 'ImportDeclaration' && node.specifiers.length > 0) {
            group.push(node)
            continue
          }
          if (group.length > 1) check(group)
          group = []
        }
        if (group.length > 1) check(group)
      },
    }
  },
}

/** Every code file of these folders by its base name, so that a name alone finds a file. */
const filesByName = Map.groupBy
  ? Map.groupBy(codeFiles(), baseName)
  : codeFiles().reduce(
      (map, file) => map.set(baseName(file), [...(map.get(baseName(file)) ?? []), file]),
      new Map(),
    )

function codeFiles() {
  return ['src', 'workers'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true })
      .map((name) => path.join(folder, name))
      .filter((name) => /\.(ts|tsx|cts)$/.test(name)),
  )
}

function baseName(file) {
  return path.basename(file).replace(/\.\w+$/, '')
}

/** `index` and `driver` name the same part of different folders; every other base name exists once. */
export const uniqueFileName = {
  meta: {
    type: 'problem',
    schema: [],
    messages: { taken: "Rename this file: '{{other}}' has the same base name." },
  },
  create(context) {
    return {
      Program(node) {
        const file = path.relative(root, context.filename)
        const name = baseName(file)
        if (name === 'index' || name === 'driver') return
        const other = filesByName.get(name)?.find((one) => one !== file)
        if (other !== undefined) context.report({ node, messageId: 'taken', data: { other } })
      },
    }
  },
}
