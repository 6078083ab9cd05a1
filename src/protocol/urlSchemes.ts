/** The schemes of URLs in mail. Bound data may not bring others, such as `javascript:`, into a link. */

/** Schemes that a bound URL may have by default. */
export const DEFAULT_URL_SCHEMES: readonly string[] = ['http', 'https', 'mailto', 'tel']

/** Schemes that run a script. They can't be allowed. */
export const SCRIPT_SCHEMES: ReadonlySet<string> = new Set(['javascript', 'vbscript', 'livescript', 'mocha'])

const SCHEME = /^([a-z][a-z0-9+.-]*):/i
/** Browsers ignore these characters when they parse a scheme. */
const SKIPPED = /[\u0000-\u0020\u007f-\u00a0\u200b\u2028\u2029\ufeff]+/g

/** Returns the scheme of a URL in lower case, or undefined if it is relative. */
export function schemeOf(url: string): string | undefined {
  return url.includes(':') ? SCHEME.exec(url.replace(SKIPPED, ''))?.[1]?.toLowerCase() : undefined
}

/** Whether a bound URL may have the scheme. `cid:` refers to an attachment of the same mail, so it is always allowed. */
export function isAllowedScheme(scheme: string | undefined, allowed: readonly string[]): boolean {
  return scheme === undefined || scheme === 'cid' || allowed.includes(scheme)
}

/** The sentence about a bound URL whose scheme is not allowed. */
export function refusedScheme(scheme: string, allowed: readonly string[]): string {
  const list = allowed.slice(0, 20).join(', ')
  return `the URL has the scheme '${scheme.slice(0, 20)}:', but a bound URL may only have ${list === '' ? 'no scheme' : list}. Add the scheme to templates.urlSchemes, or write it in the template before the expression`
}
