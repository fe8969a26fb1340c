"""What deploys auditstream: the image, the compose file, shippers, and the documentation of them."""
