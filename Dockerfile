# mage-mcp over HTTP, not root. Built from a checkout:  docker build -t mage-mcp .
FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY mage_mcp ./mage_mcp
COPY prompts ./prompts
# Bytecode is compiled here: the container cannot write it, and without it each start takes seconds.
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN uv venv /opt/mage-mcp && uv pip install --no-cache --python /opt/mage-mcp/bin/python .

FROM python:3.13-slim
RUN useradd --uid 10001 --user-group --create-home mage-mcp && install -d -m 1777 /state
COPY --from=build /opt/mage-mcp /opt/mage-mcp
ENV PATH=/opt/mage-mcp/bin:$PATH PYTHONDONTWRITEBYTECODE=1 MAGE_MCP_STATE_DIR=/state
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["mage-mcp"]
CMD ["serve", "--http", "--host", "0.0.0.0", "--allowed-host", "localhost", "--token-file", "/run/secrets/tokens"]
