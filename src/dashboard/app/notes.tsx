import type { TemplateInspection } from '../../index.js'

/** What `threadpost check` says of the template. */
export function Notes({ inspection: { error, findings, warnings } }: { inspection: TemplateInspection }) {
  const first = error === undefined && findings.length > 0
  return (
    <section class="card notes">
      <h3>Notes</h3>
      {error !== undefined && <p class="problem">{error}</p>}
      {error === undefined && !first && <p>Compiles once: a message only binds its data.</p>}
      {first && (
        <>
          <p>Binds first: MJML runs for each message, which costs a hundred times as much.</p>
          <ul>
            {findings.map(({ at, expression, reason, advice }, index) => (
              <li key={index}>
                <code>
                  {at.file}:{at.line}:{at.column} {expression}
                </code>
                <p>{reason}</p>
                <p class="dim">To compile it once: {advice}</p>
              </li>
            ))}
          </ul>
        </>
      )}
      {warnings.length > 0 && (
        <ul>
          {warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
    </section>
  )
}
