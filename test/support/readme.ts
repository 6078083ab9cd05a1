import { mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import path from 'node:path'
import { folderOf } from './folder.js'

export const root = path.resolve(import.meta.dirname, '../..')

/** A page of the documentation, by its path from the root, with forward slashes. */
export interface Chapter {
  page: string
  text: string
}

/** The root README, and the README of each folder that is described to users. */
export const chapters: readonly Chapter[] = await Promise.all(
  ['README.md', ...(await chapterPages())].map(async (page) => ({
    page,
    text: await readFile(path.join(root, page), 'utf8'),
  })),
)

async function chapterPages(): Promise<string[]> {
  const pages: string[] = []
  for (const folder of ['templates', 'workers', 'src'])
    for (const name of await readdir(path.join(root, folder), { recursive: true }))
      if (path.basename(name) === 'README.md')
        pages.push(path.posix.join(folder, name.replaceAll(path.sep, '/')))
  return pages.sort()
}

/** A page without its code blocks, in which nothing is a link or a heading. */
export async function proseOf(page: string): Promise<string> {
  return (await readFile(path.join(root, page), 'utf8')).replace(/^```[^]*?^```$/gm, '')
}

export interface Target {
  /** As it is written. */
  link: string
  /** The file that it leads to, by its path from the root. */
  file: string
  anchor?: string
  picture: boolean
}

/** The targets of a page's links and images that are not on the web. */
export async function targetsOf(page: string): Promise<Target[]> {
  const text = (await proseOf(page)).replace(/`[^`]*`/g, '')
  const links = [...text.matchAll(/(!?)\[[^\]]*\]\(([^)\s]+)\)|\b(src|href)="([^"{]+)"/g)].map(
    ([, mark, link, attribute, value]) => ({
      link: link ?? value ?? '',
      picture: mark === '!' || attribute === 'src',
    }),
  )
  return links
    .filter(({ link }) => !/^https?:/.test(link))
    .map(({ link, picture }) => {
      const [file = '', anchor] = link.split('#')
      return {
        link,
        picture,
        file: file === '' ? page : path.posix.join(path.posix.dirname(page), file),
        ...(anchor === undefined ? {} : { anchor }),
      }
    })
}

/** The words after the fence of a code block, such as `ts app`; empty for a diagram. */
export interface Block {
  page: string
  /** Of its first line of code. */
  line: number
  kind: string
  source: string
}

export const blocks: readonly Block[] = chapters.flatMap(({ page, text }) =>
  [...text.matchAll(/^```([^\n`]*)\n(.*?)^```$/gms)].map(({ index, 1: kind = '', 2: source = '' }) => ({
    page,
    line: text.slice(0, index).split('\n').length + 1,
    kind,
    source,
  })),
)

/** The blocks of a kind: `ts` and `js` run by themselves, `js server` and `js redis` with something around them. */
export function blocksOf(kind: string): Block[] {
  return blocks.filter((block) => block.kind === kind)
}

export function titleOf({ page, line }: Block): string {
  return `${page}:${line}`
}

/** The output of a block, by its own comments. */
export function promisesOf(source: string): (string | undefined)[] {
  return [...source.matchAll(/^ *console\.log\(.*\) \/\/ (.*)$/gm)].map((match) => match[1])
}

/** The folder of an app whose `app.js` this is. It imports `threadpost`, and what that was built with, by name. */
export async function appOf(source: string): Promise<string> {
  const folder = await folderOf({ 'package.json': '{ "type": "module" }', 'app.js': source })
  const modules = path.join(folder, 'node_modules')
  await mkdir(modules)
  const names = (await readdir(path.join(root, 'node_modules'))).filter((name) => !name.startsWith('.'))
  for (const name of names) await symlink(path.join(root, 'node_modules', name), path.join(modules, name))
  await symlink(root, path.join(modules, 'threadpost'))
  await symlink(path.join(root, 'templates'), path.join(folder, 'templates'))
  return folder
}
