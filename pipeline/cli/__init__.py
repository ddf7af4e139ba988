"""Floor 5, the command line: arguments in, exit codes out, one file per verb. No decisions and no AWS calls."""
