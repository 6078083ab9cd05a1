/**
 * The file that Piscina loads in each thread. Piscina would `require()` an ES module, and Node 20 aborts the whole process
 * when a thread is terminated in the middle of that (V8: "IsGraphAsync must be used on an instantiated module"); an
 * `import()` ends with its thread.
 */
const loading = import('./thread.js')
loading.catch(() => undefined)

type Opening = Parameters<Awaited<typeof loading>['serve']>[0]

/** @see thread.ts */
async function serve(opening: Opening): Promise<void> {
  const thread = await loading
  return thread.serve(opening)
}

export = { serve }
