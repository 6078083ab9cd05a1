/** A package that is only needed here: where it is absent, the error says what to install. */
export async function loaded<T>(module: Promise<T>, name: string, why: string): Promise<T> {
  try {
    return await module
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND')
      throw new Error(`${why} ${name}, which is not installed: npm install ${name}`, { cause: error })
    throw new Error(`${name} can't be loaded: ${message}`, { cause: error })
  }
}
