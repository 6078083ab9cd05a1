import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'

const ROOT = path.resolve(import.meta.dirname, '../..')

const { optionExamples, withReference } = (await import(path.join(ROOT, '.ci/reference.mjs'))) as {
  optionExamples(): string[]
  withReference(text: string): string
}
const reference = await readFile(path.join(ROOT, 'src/README.md'), 'utf8')

it('src/README.md matches the docstrings; if not, run: node .ci/reference.mjs', () => {
  expect(withReference(reference) === reference).toBe(true)
  for (const part of ['options', 'calls', 'mail', 'errors', 'outcomes'])
    expect(reference).toContain(`<!-- reference: ${part} -->`)
})

it('the reference has examples that compile', async () => {
  const examples = optionExamples()
  const dir = await folderOf({})
  const file = path.join(dir, 'examples.mts')
  const lines = examples.map((example, n) => `export const o${n}: MailerOptions = { ${example} }`)
  await writeFile(file, `import type { MailerOptions } from 'threadpost'\n${lines.join('\n')}\n`)
  const program = ts.createProgram([file], {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [path.join(ROOT, 'node_modules/@types')],
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    paths: { threadpost: [path.join(ROOT, 'dist/src/index.d.ts')] },
  })
  const said = ts.getPreEmitDiagnostics(program)
  expect(said.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([])
})
