"""One module a command, imported when it is used: `add_arguments(parser)` and `run(arguments)`, the exit code.

Only these modules print.
"""

COMMANDS = {
    "serve": "serve MCP over stdio, as without a command, or over HTTP",
    "demo": "show what can be asked, on a simulated Mage: no account, no configuration",
    "doctor": "check the settings, every cluster and this installation, and say what to mend",
    "login": "log in once and keep the session's token, in the system's keyring or a file of your own",
    "logout": "forget a kept login, and end its session",
    "secret": "keep secrets for clusters' variables, which no conversation ever holds: set, list, delete",
    "tools": "list the tools with what they risk and cost, as the settings make them",
    "client": "print the configuration for an MCP client, or merge it into the client's file",
}
"""What each is for, in the order of `--help`."""
