import type { ComponentChildren } from 'preact'

interface DataTableProps {
  /** Names the region, which scrolls sideways on a narrow screen. */
  label: string
  columns: readonly string[]
  /** Further classes of the table. */
  class?: string
  /** The rows. */
  children: ComponentChildren
}

/** A table with a row of headers. */
export function DataTable({ label, columns, class: more = '', children }: DataTableProps) {
  return (
    <div class="card scroll" tabIndex={0} role="region" aria-label={label}>
      <table class={`groups ${more}`}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th scope="col" key={column}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  )
}
