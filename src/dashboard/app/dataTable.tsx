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
        <TableHead columns={columns} />
        <tbody>{children}</tbody>
      </table>
    </div>
  )
}

/** The row of headers of a table. */
export function TableHead({ columns, class: name }: { columns: readonly string[]; class?: string }) {
  return (
    <thead class={name}>
      <tr>
        {columns.map((column) => (
          <th scope="col" key={column}>
            {column}
          </th>
        ))}
      </tr>
    </thead>
  )
}
