import type { DataPath, DataShape, Need } from '../../../src/wire/templates.js'

/** The shape of the data, as far as it follows from what is asked of it. */
export function shapeOf(needs: readonly Need[]): DataShape {
  const root: DataShape = {}
  follow(needs, [root], false)
  return root
}

function follow(needs: readonly Need[], scopes: readonly DataShape[], optional: boolean): void {
  for (const need of needs) {
    switch (need.need) {
      case 'value':
        reach(scopes, need.path, optional)
        break
      case 'if':
        reach(scopes, need.path, true)
        follow(need.then, scopes, true)
        follow(need.otherwise, scopes, true)
        break
      case 'each': {
        const list = reach(scopes, need.path, optional || need.optional)
        list.items ??= {}
        follow(need.items, [...scopes, list.items], false)
        follow(need.otherwise, scopes, true)
        break
      }
      case 'with': {
        const inner = reach(scopes, need.path, optional || need.optional)
        follow(need.inner, [...scopes, inner], false)
        follow(need.otherwise, scopes, true)
        break
      }
    }
  }
}

/** The shape at a path; once something is required it stays so. */
function reach(scopes: readonly DataShape[], path: DataPath, optional: boolean): DataShape {
  let at = scopes[path.scope] ?? {}
  for (const part of path.parts) {
    at.fields ??= {}
    const known = Object.hasOwn(at.fields, part) ? at.fields[part] : undefined
    const next: DataShape = known ?? (optional ? { optional: true } : {})
    if (!optional) delete next.optional
    Object.defineProperty(at.fields, part, {
      value: next,
      enumerable: true,
      configurable: true,
      writable: true,
    })
    at = next
  }
  return at
}
