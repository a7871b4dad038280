"""The facts that prompts carry: each is fetched by a function with a name, which a prompt's words refer to."""
