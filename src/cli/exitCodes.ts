/** Exit code of a command that failed or found a problem. */
export const FAILED = 1

/** Exit code of a command with unknown or invalid flags. */
export const USAGE_ERROR = 2

/** Exit codes of `threadpost sendmail`, from sysexits.h. */
export const EX = {
  OK: 0,
  USAGE: 64,
  DATAERR: 65,
  NOUSER: 67,
  UNAVAILABLE: 69,
  TEMPFAIL: 75,
  NOPERM: 77,
  CONFIG: 78,
} as const
