"""Makes the people of OpenSearch, with passwords that `identities.sh` drew, and nobody else.

    people.py CONFIGURATION FOLDER...      FOLDER/NAME holds the password of NAME

Run by docker-compose.yml with the administrator's certificate. What they may do stands in
opensearch/security/roles_mapping.yml. Run again it sets the passwords that the files hold then.
Format: the security plugin's API, `PUT _plugins/_security/api/internalusers/NAME`.
"""

import sys
from contextlib import closing
from pathlib import Path

from pipeline.config import load
from pipeline.errors import AuditstreamError
from pipeline.sinks.opensearch_client import asked, connect


def main(configuration: Path, *folders: Path) -> int:
    """Do it; returns the exit status."""
    settings = load(configuration).opensearch
    with closing(connect(settings)) as client:
        for path in (path for folder in folders for path in sorted(folder.iterdir())):
            name, body = path.name, {"password": path.read_text().strip()}
            where = f"/_plugins/_security/api/internalusers/{name}"

            def put(where: str = where, body: dict[str, str] = body) -> object:
                return client.transport.perform_request("PUT", where, body=body)

            asked(client, f"make the user {name}", put)
            print(f"the user {name} has the password that {path} holds")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*map(Path, sys.argv[1:])))
    except AuditstreamError as error:
        sys.exit(f"people.py: {error}")
