"""Room: stages. Turning a service's sources into artifacts; it stores nothing and asks nobody."""
