export type ToolName =
  | 'redis-server'
  | 'smtp-sink'
  | 'smtp-source'
  | 'postfix-master'
  | 'chromium'
  | 'python3-dkim'
  | 'pgbouncer'
  | 'postgres'
  | 'python3-psycopg'
  | 'rabbitmq-server'
  | 'swaks'
  | 'msmtp'
  | 'exim-daemon'
  | 'python3-flask'

export interface Tool {
  command: string
  /** They come before one's own. */
  args: string[]
  /** On top of process.env. */
  env: Record<string, string>
}

export type Tools = Partial<Record<ToolName, Tool>>

/** What is there now. Quick, fetches nothing. */
export function findTools(): Tools
/** How a person gets the program. */
export function installLine(name: ToolName): string
/** What is there after fetching what is missing, and a line for each thing that could not be had. */
export function tools(): Promise<{ tools: Tools; problems: string[] }>
